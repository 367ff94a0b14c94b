"""Files that objects of a model bring along in an archive, such as vocabularies: `assets/<path of the object>/…`.

Layers of ours say what they bring (`saved_assets()` gives contents by name) and read it by name (`load_assets(read)`).
A user's object with Keras's `save_assets(folder)` and `load_assets(folder)` is given a temporary folder.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from engine.saving.archive import Members
from engine.saving.tree import saveables, shortened

FOLDER = "assets/"


def collected(root: Any) -> dict[str, bytes]:
    """The assets of all objects below `root`, by member name."""
    members: dict[str, bytes] = {}
    for path, item in saveables(root):
        for name, content in _saved(item).items():
            members[_prefix(path) + name] = content
    return members


def _saved(item: Any) -> dict[str, bytes]:
    if hasattr(item, "saved_assets"):
        return dict(item.saved_assets())
    if not hasattr(item, "save_assets"):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        item.save_assets(folder)
        files = [file for file in sorted(Path(folder).rglob("*")) if file.is_file()]
        return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def _prefix(path: str) -> str:
    return f"{FOLDER}{path}/" if path else FOLDER


def load(members: Members, root: Any) -> None:
    """Gives every object below `root` its assets.

    Raises:
        ValueError: the archive has assets that nothing in the model takes, lacks one that is needed, or the name of one
            leads out of the folder.
    """
    names = members.names(FOLDER)
    for name in names:
        if "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
            raise ValueError(f"The archive has an asset {name!r}, whose name leads out of its folder; refused.")
    left = set(names)
    for path, item in saveables(root):
        if not hasattr(item, "load_assets"):
            continue
        prefix = _prefix(path)
        # What lies deeper belongs to objects below, which have paths of their own.
        own = {
            name[len(prefix) :]: name for name in names if name.startswith(prefix) and "/" not in name[len(prefix) :]
        }
        _load(members, item, path, own)
        left.difference_update(own.values())
    if left:
        listed = ", ".join(shortened(sorted(left)))
        raise ValueError(f"The archive has assets that the model has no place for: {listed}")


def _load(members: Members, item: Any, path: str, own: dict[str, str]) -> None:
    """Gives one object what the archive has for it: by file name, the member."""

    def read(name: str) -> bytes:
        if name not in own:
            raise ValueError(f"The archive has no {name!r} for {getattr(item, 'name', path)!r}.")
        return members.read(own[name])

    if hasattr(item, "saved_assets"):
        item.load_assets(read)
    elif own:
        with tempfile.TemporaryDirectory() as folder:
            for name in own:
                (Path(folder) / name).write_bytes(read(name))
            item.load_assets(folder)
