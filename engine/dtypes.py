"""Data types: their names, the default float type, and promotion by Keras's table.

Keras 3 promotes along JAX's lattice: Python scalars are weak (they take the kind of their partner, never its
width), integers never widen a float, and two unlike half types meet in float32.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import ml_dtypes
import numpy as np

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = ("bfloat16", "float16", "float32", "float64")
INTEGERS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
ALLOWED = ("bool", *INTEGERS, *FLOATS)

_floatx = "float32"

# Nodes of the lattice and what lies directly above each. A name that ends in * is a weak Python scalar.
_ABOVE: dict[str, tuple[str, ...]] = {
    "bool": ("int*",),
    "int*": ("uint8", "int8"),
    "uint8": ("int16", "uint16"),
    "uint16": ("int32", "uint32"),
    "uint32": ("int64", "uint64"),
    "uint64": ("float*",),
    "int8": ("int16",),
    "int16": ("int32",),
    "int32": ("int64",),
    "int64": ("float*",),
    "float*": ("bfloat16", "float16"),
    "bfloat16": ("float32",),
    "float16": ("float32",),
    "float32": ("float64",),
    "float64": (),
}


def _upwards(name: str) -> frozenset[str]:
    seen = {name}
    for above in _ABOVE[name]:
        seen |= _upwards(above)
    return frozenset(seen)


_REACHABLE = {name: _upwards(name) for name in _ABOVE}


def floatx() -> str:
    """The default float type, "float32" unless `set_floatx` changed it."""
    return _floatx


def set_floatx(name: str) -> None:
    """Sets the default float type: one of "float16", "bfloat16", "float32", "float64"."""
    global _floatx
    if name not in FLOATS:
        raise ValueError(f"floatx must be one of {', '.join(FLOATS)}. Received: {name!r}")
    _floatx = name


@lru_cache(maxsize=256)
def as_dtype(dtype: Any) -> np.dtype[Any]:
    """The NumPy dtype of a name, a NumPy dtype, a Python type or None (the default float type)."""
    if dtype is None:
        return np.dtype(_floatx) if _floatx != "bfloat16" else BFLOAT16
    if dtype is float:
        return as_dtype(None)
    if dtype is int:
        return np.dtype("int32")
    if isinstance(dtype, str):
        name = dtype
    elif isinstance(dtype, np.dtype):
        name = dtype.name
    elif dtype is bool:
        name = "bool"
    else:
        name = np.dtype(dtype).name
    if name == "bfloat16":
        return BFLOAT16
    if name == "string":
        raise ValueError(
            "Models compute with numbers, and strings are none: a model that takes texts is not supported. Let "
            "TextVectorization or StringLookup, outside of the model, turn them into numbers."
        )
    if name not in ALLOWED:
        raise ValueError(f"Expected a dtype among {', '.join(ALLOWED)}. Received: {dtype!r}")
    return np.dtype(name)


def standardize_dtype(dtype: Any) -> str:
    """The Keras name of a dtype, None meaning the default float type."""
    return floatx() if dtype is None else as_dtype(dtype).name


def is_float(dtype: Any) -> bool:
    """Whether a dtype is one of Keras's float types, bfloat16 included."""
    return as_dtype(dtype).name in FLOATS


@lru_cache(maxsize=4096)
def _join(names: tuple[str, ...]) -> str:
    common = frozenset.intersection(*(_REACHABLE[name] for name in names))
    # The least upper bound is the common node from which all other common nodes are reachable.
    for name in common:
        if common <= _REACHABLE[name]:
            return name
    raise ValueError(f"No common dtype for {', '.join(names)}")


def _lattice_name(item: Any) -> str:
    if item is bool or item is np.bool_:
        return "bool"
    if item is int:
        return "int*"
    if item is float:
        return "float*"
    return as_dtype(item).name


def result_type(*items: Any) -> np.dtype[Any]:
    """The dtype in which values of the given dtypes meet (`keras.backend.result_type`).

    Args:
        items: dtypes, or the Python types `bool`, `int` and `float` for weak scalars.
    """
    name = _join(tuple(sorted({_lattice_name(item) for item in items})))
    if name == "int*":
        return np.dtype("int32")
    if name == "float*":
        return as_dtype(None)
    return as_dtype(name)
