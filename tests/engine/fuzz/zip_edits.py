"""Edits of `.keras` archives: their members, what these are called, and what is in them."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Sequence

from tests.engine.fuzz.edits import BYTES, Edit, bytes_edited, chosen
from tests.engine.fuzz.hdf5_edits import HDF5, hdf5_edited
from tests.engine.fuzz.json_edits import JSON, json_edited, json_text
from tests.engine.saving.archives import WEIGHTS

Members = list[tuple[str, bytes, int]]
"""Name, content and compression of each member."""
_NAMES = (
    "../evil", "/tmp/evil", "assets/../../evil", "assets//x", "assets/layers/dense/../x", "assets/layers/dense/a\\b",
    "assets/x", "config.json", "metadata.json", WEIGHTS, "model.weights.npz", "assets/" + "d/" * 200 + "x", "", "a\0b",
)  # fmt: skip


def _dropped(members: Members, edit: Edit) -> None:
    if members:
        members.pop(edit.place % len(members))


def _added(members: Members, edit: Edit) -> None:
    members.append((chosen(_NAMES, edit.choice), chosen((b"", b"x", b"{}", bytes(1 << 16)), edit.place), 0))


def _swapped(members: Members, edit: Edit) -> None:
    if members:
        place, other = edit.place % len(members), edit.choice % len(members)
        members[place] = (members[place][0], members[other][1], members[place][2])


def _packed(members: Members, edit: Edit) -> None:
    if members:
        place = edit.place % len(members)
        methods = (zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
        members[place] = (*members[place][:2], chosen(methods, edit.choice))


def _bombed(members: Members, edit: Edit) -> None:
    if members:
        place = edit.place % len(members)
        size = chosen((1 << 20, 1 << 24, 80 << 20), edit.choice)
        members[place] = (members[place][0], members[place][1] + bytes(size), zipfile.ZIP_DEFLATED)


def _damaged(members: Members, edit: Edit) -> None:
    if members:
        place = edit.place % len(members)
        kind = chosen(sorted(BYTES), edit.choice)
        name, content, method = members[place]
        members[place] = (name, bytes_edited(content, [Edit(kind, edit.choice, edit.place)]), method)


ZIP: dict[str, Callable[[Members, Edit], None]] = {
    "zip added": _added,
    "zip bombed": _bombed,
    "zip damaged": _damaged,
    "zip dropped": _dropped,
    "zip packed": _packed,
    "zip swapped": _swapped,
}


def zip_edited(content: bytes, edits: Sequence[Edit]) -> bytes:
    """An archive after some edits of the kinds `ZIP`, `JSON`, `HDF5` and `BYTES`, the last ones of the whole file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members: Members = [(name, archive.read(name), zipfile.ZIP_STORED) for name in archive.namelist()]
    for index, (name, inner, method) in enumerate(members):
        if name == "config.json" and any(edit.kind in JSON for edit in edits):
            text = json_text(json_edited(json.loads(inner), edits))
            members[index] = (name, text, method)
        if name == WEIGHTS:
            members[index] = (name, hdf5_edited(inner, [edit for edit in edits if edit.kind in HDF5]), method)
    for edit in edits:
        if edit.kind in ZIP:
            ZIP[edit.kind](members, edit)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there already
        for name, inner, method in members:
            archive.writestr(zipfile.ZipInfo(name), inner, method)
    return bytes_edited(buffer.getvalue(), edits)
