"""MNIST: 60,000 and 10,000 handwritten digits, 28×28, white on black (LeCun, Cortes, Burges 1998).

Read from the IDX files in which it is published, plain or gzipped.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from engine.utils.files import cache_folder, digest_of, get_file

Array = np.ndarray[Any, Any]

ORIGIN = "https://ossci-datasets.s3.amazonaws.com/mnist/"
"""Where the files are fetched from; `BEAGLE_MNIST_ORIGIN` names another place."""

# SHA-256 of the unpacked files: how they were compressed does not matter.
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_UNSIGNED_BYTE = 8


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """`(x_train, y_train), (x_test, y_test)`: uint8 images (n, 28, 28) and uint8 labels (n,).

    Args:
        path: the folder of the four IDX files, plain or `.gz`; those that are absent are downloaded into it. Default:
            the cache.

    Raises:
        ConnectionError: a file is absent and cannot be downloaded.
        ValueError: a file is damaged.
    """
    folder = Path(path) if path is not None else cache_folder("datasets/mnist")
    arrays = [_load(folder, name, digest) for name, digest in FILES.items()]
    return (arrays[0], arrays[1]), (arrays[2], arrays[3])


def _load(folder: Path, name: str, digest: str) -> Array:
    file = next((folder / found for found in (name, f"{name}.gz") if (folder / found).is_file()), None)
    if file is None:
        origin = os.environ.get("BEAGLE_MNIST_ORIGIN", ORIGIN)
        file = Path(get_file(f"{name}.gz", f"{origin.rstrip('/')}/{name}.gz", cache_dir=folder, cache_subdir=""))
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError) as error:
        raise ValueError(f"{file} is damaged: {error}") from None
    found = digest_of([content])
    if found != digest:
        raise ValueError(f"{file} is not the MNIST file {name}: expected SHA-256 {digest}, got {found}")
    return read_idx(content, str(file))


def read_idx(content: bytes, name: str) -> Array:
    """The array in an IDX file of unsigned bytes; `name` is for errors."""
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError(f"{name} is not an IDX file.")
    kind, dimensions = content[2], content[3]
    if kind != _UNSIGNED_BYTE:
        raise ValueError(f"{name}: expected unsigned bytes (type 8), got type {kind}")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError(f"{name} ends within its header.")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise ValueError(f"{name}: shape {shape} needs {math.prod(shape)} bytes, got {len(content) - start}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
