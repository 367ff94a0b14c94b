"""HDF5 files of weights, opened with suspicion: no links out of the file, no datasets larger than what they bring."""

from __future__ import annotations

import io
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
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise ValueError(f"{name} is not a readable HDF5 file: {error}. It may be truncated.") from None
        with file:
            yield file


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
        ValueError: it lies outside the file, or claims far more than it brings.
    """
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"Dataset {dataset.name!r} takes its values from outside the file; that is refused.")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > CLAIM_FREE and dataset.nbytes > CLAIM_LIMIT * max(stored, 1):
        raise ValueError(f"Dataset {dataset.name!r} claims {dataset.nbytes} bytes and brings {stored}; refused.")
    try:
        array = np.asarray(dataset[()])
    except (OSError, RuntimeError) as error:
        raise ValueError(f"Dataset {dataset.name!r} is damaged: {error}") from None
    if dataset.attrs.get("dtype") == "bfloat16":
        array = array.view(BFLOAT16)
    if array.dtype.kind not in "biuf" and array.dtype != BFLOAT16:
        raise ValueError(f"Dataset {dataset.name!r} holds {array.dtype}, not numbers.")
    return array


def child(group: h5py.Group, name: str) -> Any:
    """A group or dataset directly inside `group`, or None. Links that lead elsewhere are refused."""
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{group.name}/{name} is a link to another place; that is refused.")
    try:
        return group[name]
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{group.name}/{name} is damaged: {error}") from None


def descend(group: h5py.Group, path: str) -> Any:
    """The group or dataset at a relative path, or None."""
    import h5py

    current: Any = group
    for part in filter(None, path.split("/")):
        if not isinstance(current, h5py.Group):
            return None
        current = child(current, part)
        if current is None:
            return None
    return current


def datasets(group: h5py.Group, path: str = "") -> Iterator[str]:
    """Paths of all datasets below a group, each group visited once."""
    import h5py

    seen: set[Any] = set()

    def walk(current: h5py.Group, prefix: str) -> Iterator[str]:
        address = h5py.h5o.get_info(current.id).addr
        if address in seen:
            return
        seen.add(address)
        for name in current:
            item = child(current, name)
            if isinstance(item, h5py.Group):
                yield from walk(item, f"{prefix}{name}/")
            elif item is not None:
                yield f"{prefix}{name}"

    yield from walk(group, path)
