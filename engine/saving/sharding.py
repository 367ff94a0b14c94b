"""Weights in several files: `x.weights.json` tells which of `x_00000.weights.h5`, … holds an object's variables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from engine.primitives.primitive import Array
from engine.saving import archive, hdf5
from engine.saving.tree import Contents, saveables

SUFFIX = ".weights.json"
GIGABYTE = 2**30
MAP_LIMIT = 64 << 20
"""Bytes of JSON above which a map is refused."""
SHARD_LIMIT = 4096
"""How many files a map may name."""


def index_path(path: Path) -> Path:
    """Where the map of shards lies for a path that was asked for.

    Raises:
        ValueError: the path ends neither in ".weights.json" nor in ".weights.h5".
    """
    for suffix in (SUFFIX, ".weights.h5"):
        if path.name.endswith(suffix):
            return path.with_name(path.name.removesuffix(suffix) + SUFFIX)
    raise ValueError(f"Expected a path that ends in '{SUFFIX}' for weights in several files. Received: {str(path)!r}")


def write_shards(path: Path, root: Any, max_shard_size: float) -> None:
    """Writes the variables below `root` into files of at most `max_shard_size` GiB of values, and then their map.

    Raises:
        ValueError: a single variable is larger than that.
    """
    limit = max_shard_size * GIGABYTE
    path = index_path(path)
    base = path.name.removesuffix(SUFFIX)
    weight_map: dict[str, Any] = {}
    total = 0
    for number, shard in enumerate(_shards(root, limit)):
        name = f"{base}_{number:05}.weights.h5"
        archive.replace(path.with_name(name), hdf5.to_bytes(partial(_write, shard)))
        for group, _, _, array in shard:
            total += array.nbytes
            places = weight_map.setdefault(group, [])
            if name not in places:
                places.append(name)
    listed = {group: names[0] if len(names) == 1 else names for group, names in weight_map.items()}
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": listed}, indent=4)
    archive.replace(path, text.encode())


_Shard = list[tuple[str, str | None, str, Array]]


def _shards(root: Any, limit: float) -> Iterator[_Shard]:
    """The variables, cut into shards: each its group's path, the object's name, its own name and value."""
    shard: _Shard = []
    size = 0
    for path, item in saveables(root):
        store: dict[str, Array] = {}
        item.save_own_variables(store)
        for name, array in store.items():
            if array.nbytes > limit:
                raise ValueError(
                    f"Variable {name} of {path or 'the model'} has {array.nbytes} bytes, more than max_shard_size "
                    f"allows a file ({limit:.0f} bytes)."
                )
            if shard and size + array.nbytes > limit:
                yield shard
                shard, size = [], 0
            shard.append((f"/{path}/vars".replace("//", "/"), getattr(item, "name", None), name, array))
            size += array.nbytes
    yield shard


def _write(shard: _Shard, file: Any) -> None:
    for path, owner, name, array in shard:
        group = file.require_group(path)
        if owner:
            group.attrs["name"] = owner
        hdf5.write_array(group, name, array)


@contextmanager
def open_shards(path: Path) -> Iterator[Contents]:
    """What all shards of a map hold.

    Raises:
        ValueError: the map is damaged or names files that are not beside it, or the shards hold other than it says.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(hdf5.open_file(shard.open("rb"), str(shard))) for shard in shard_paths(path)]
        contents = Contents(*files)
        missing = sorted(group for group in _weight_map(path) if group.strip("/") not in contents.groups())
        if missing:
            raise ValueError(f"{str(path)!r}: no shard holds {', '.join(missing[:5])}.")
        yield contents


def shard_paths(path: Path) -> list[Path]:
    """The files that a map names.

    Raises:
        ValueError: one is not beside it, or there are too many.
    """
    names = sorted({name for places in _weight_map(path).values() for name in places})
    if len(names) > SHARD_LIMIT:
        raise ValueError(f"{str(path)!r} names {len(names)} files; at most {SHARD_LIMIT} are read.")
    for name in names:
        if not path.with_name(name).is_file():
            raise ValueError(f"{str(path)!r} names the file {name!r}, which is not beside it.")
    return [path.with_name(name) for name in names]


def _weight_map(path: Path) -> dict[str, list[str]]:
    """The names of files by group."""
    if path.stat().st_size > MAP_LIMIT:
        raise ValueError(f"{str(path)!r} is larger than {MAP_LIMIT} bytes.")
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} is not valid JSON: {error}") from None
    weight_map = config.get("weight_map") if isinstance(config, dict) else None
    if not isinstance(weight_map, dict):
        raise ValueError(f"{str(path)!r} is no map of weights in several files: it has no 'weight_map'.")
    found = {}
    for group, names in weight_map.items():
        listed = names if isinstance(names, list) else [names]
        for name in listed:
            if not isinstance(name, str) or not re.fullmatch(r"[^/\\\0]{1,250}\.weights\.h5", name):
                raise ValueError(f"{str(path)!r} names {name!r}; expected the name of a '.weights.h5' file beside it.")
        found[group] = listed
    return found
