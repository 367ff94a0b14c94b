"""HDF5 files of weights, opened with suspicion: no links out of the file, no datasets larger than what they bring."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from engine.dtypes import BFLOAT16
from engine.primitives.primitive import Array

if TYPE_CHECKING:
    import h5py

CLAIM_LIMIT = 100
"""How many times its storage a dataset may claim to be, above `CLAIM_FREE` bytes."""
CLAIM_FREE = 64 << 20
_DAMAGE = (OSError, RuntimeError, KeyError, AttributeError, OverflowError, MemoryError)
"""What h5py raises where a file contradicts itself, beside ValueError and TypeError."""


def to_bytes(write: Callable[[h5py.File], None]) -> bytes:
    """The bytes of an HDF5 file that `write` fills."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        write(file)
    return buffer.getvalue()


@contextmanager
def open_file(stream: IO[bytes], name: str) -> Iterator[h5py.File]:
    """Opens a stream as an HDF5 file; `name` is for errors. Closes the stream."""
    import h5py

    with stream:
        try:
            file = h5py.File(stream, "r")
        except (*_DAMAGE, ValueError, TypeError) as error:
            raise ValueError(f"{name} is not a readable HDF5 file: {error}. It may be truncated.") from None
        with file:
            yield file


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Errors of the HDF5 library become ValueErrors that say what is damaged."""
    try:
        yield
    except _DAMAGE as error:
        raise ValueError(f"{what} is damaged: {error}") from None


def _name(item: Any) -> str:
    with _reading("The file's index"):
        return str(item.name)


def is_group(item: Any) -> bool:
    import h5py

    return isinstance(item, h5py.Group)


def is_dataset(item: Any) -> bool:
    import h5py

    return isinstance(item, h5py.Dataset)


def write_array(group: h5py.Group, name: str, array: Array) -> None:
    """Stores an array; bfloat16 as raw bytes with its name in an attribute, as Keras does."""
    if array.dtype == BFLOAT16:
        dataset = group.create_dataset(name, data=array.view("V2"))
        dataset.attrs["dtype"] = "bfloat16"
    else:
        group.create_dataset(name, data=array)


def read_array(dataset: h5py.Dataset) -> Array:
    """The values of a dataset.

    Raises:
        ValueError: it lies outside the file, claims far more than it brings, holds no numbers, or is damaged.
    """
    name = _name(dataset)
    with _reading(f"Dataset {name!r}"):
        if dataset.is_virtual or dataset.external:
            raise ValueError(f"Dataset {name!r} takes its values from outside the file; that is refused.")
        is_bfloat16 = dataset.dtype.itemsize == 2 and dataset.attrs.get("dtype") == "bfloat16"
        if dataset.shape is None or not (is_bfloat16 or dataset.dtype.kind in "biuf"):
            raise ValueError(f"Dataset {name!r} holds {dataset.dtype}, not numbers.")
        stored = dataset.id.get_storage_size()
        if dataset.nbytes > CLAIM_FREE and dataset.nbytes > CLAIM_LIMIT * stored:
            raise ValueError(f"Dataset {name!r} claims {dataset.nbytes} bytes and brings {stored}; refused.")
        array = np.asarray(dataset[()])
    return array.view(BFLOAT16) if is_bfloat16 else array


def substance(dataset: h5py.Dataset) -> int:
    """How many bytes of variables a dataset can honestly fill: what it claims, as far as its storage bears it out."""
    with _reading(f"Dataset {_name(dataset)!r}"):
        return min(int(dataset.nbytes), CLAIM_LIMIT * int(dataset.id.get_storage_size()))


def attribute(item: h5py.Group | h5py.Dataset, name: str) -> Any:
    """The value of an attribute, or None.

    Raises:
        ValueError: it is damaged, or claims more bytes than the whole file has.
    """
    with _reading(f"Attribute {name!r} of {_name(item)!r}"):
        if name not in item.attrs:
            return None
        stored, whole = item.attrs.get_id(name), item.file.id.get_filesize()
        claimed = math.prod(stored.shape) * stored.dtype.itemsize
        if claimed > whole:
            raise ValueError(f"Attribute {name!r} of {_name(item)!r} claims {claimed} bytes of a file of {whole}.")
        return item.attrs[name]


def shape(dataset: h5py.Dataset) -> tuple[int, ...]:
    """The shape of a dataset whose values are not read yet."""
    with _reading(f"Dataset {_name(dataset)!r}"):
        if dataset.shape is None:
            raise ValueError(f"Dataset {_name(dataset)!r} holds nothing.")
        return tuple(dataset.shape)


def child(group: h5py.Group, name: str) -> Any:
    """A group or dataset directly inside `group`, or None. Links that lead elsewhere are refused."""
    import h5py

    try:
        link = group.get(name, getlink=True)
        if link is None:
            return None
        if isinstance(link, h5py.HardLink):
            return group[name]
    except _DAMAGE as error:
        raise ValueError(f"{_name(group)}/{name} is damaged: {error}") from None
    raise ValueError(f"{_name(group)}/{name} is a link to another place; that is refused.")


def descend(group: h5py.Group, path: str) -> Any:
    """The group or dataset at a relative path, or None."""
    current: Any = group
    for part in filter(None, path.split("/")):
        if not is_group(current):
            return None
        current = child(current, part)
        if current is None:
            return None
    return current


def names(group: h5py.Group) -> list[str]:
    """What lies directly inside a group."""
    with _reading(f"Group {_name(group)!r}"):
        return [str(name) for name in group]


def datasets(group: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    """All datasets below a group with their paths, each group visited once however it is linked."""
    import h5py

    seen: set[Any] = set()
    waiting = [("", group)]
    while waiting:
        prefix, current = waiting.pop()
        with _reading(f"Group {_name(current)!r}"):
            address = h5py.h5o.get_info(current.id).addr
        if address in seen:
            continue
        seen.add(address)
        for name in names(current):
            item = child(current, name)
            if is_group(item):
                waiting.append((f"{prefix}{name}/", item))
            elif is_dataset(item):
                yield f"{prefix}{name}", item
