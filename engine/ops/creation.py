"""Ops that make tensors, and what is asked about them: constants, ranges, conversion to and from NumPy, shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.dtypes import as_dtype, standardize_dtype
from engine.ops.declare import operation
from engine.ops.elementwise import cast
from engine.ops.keras_tensor import KerasTensor, is_tensor
from engine.primitives.apply import as_value, owned
from engine.primitives.shaping import broadcast_to
from engine.tensor import Symbol, Tensor
from engine.variable import Variable


def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None) -> Any:
    """A tensor of an array, a list, a number or a variable; tensors stay what they are.

    Args:
        x: Python floats take the default float type, Python integers int32.
        dtype: casts to it.
        sparse, ragged: only falsy values are supported; others raise ValueError.
    """
    if sparse or ragged:
        raise ValueError("Sparse and ragged tensors are not supported.")
    if isinstance(x, KerasTensor):
        return x if dtype is None or x.dtype == as_dtype(dtype) else cast(x, dtype)
    if isinstance(x, (list, tuple)) and _holds_tensor(x):
        from engine.ops.shaping import stack

        x = stack([convert_to_tensor(item) for item in x])
    if dtype is None:
        return owned(as_value(x))
    if is_tensor(x):
        return cast(x, dtype)
    return owned(as_value(x, as_dtype(dtype)))


def _holds_tensor(items: Any) -> bool:
    if isinstance(items, (list, tuple)):
        return any(_holds_tensor(item) for item in items)
    return isinstance(items, (Tensor, Symbol, Variable))


def convert_to_numpy(x: Any) -> np.ndarray[Any, Any]:
    """The values as a NumPy array; those of a tensor cannot be written to."""
    return x.numpy() if hasattr(x, "numpy") else np.asarray(x)


@operation("numpy", "Array", settings=("dtype",))
def array(x: Any, dtype: Any = None) -> Any:
    """A tensor of an array, a list or a number."""
    return convert_to_tensor(x, dtype)


@operation("numpy", "Copy")
def copy(x: Any) -> Any:
    """The same values; tensors are immutable, so that their memory is not copied."""
    return as_value(x)


def shape(x: Any) -> tuple[int | None, ...]:
    """The shape as a tuple; free dimensions of placeholders are None."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def ndim(x: Any) -> int:
    """The number of axes."""
    return len(shape(x))


def dtype(x: Any) -> str:
    """The dtype's name."""
    return standardize_dtype(as_value(x).dtype if not is_tensor(x) else x.dtype)


# Constants -----------------------------------------------------------------------------------------------------------


def full(shape: Sequence[int] | int, fill_value: Any, dtype: Any = None) -> Any:
    """A tensor of one value; the default float type unless told otherwise."""
    lengths = (shape,) if isinstance(shape, int) else tuple(shape)
    return broadcast_to(convert_to_tensor(fill_value, as_dtype(dtype)), shape=lengths)


def zeros(shape: Sequence[int] | int, dtype: Any = None) -> Any:
    """A tensor of zeros; the default float type unless told otherwise."""
    return full(shape, 0, dtype)


def ones(shape: Sequence[int] | int, dtype: Any = None) -> Any:
    """A tensor of ones; the default float type unless told otherwise."""
    return full(shape, 1, dtype)


def empty(shape: Sequence[int] | int, dtype: Any = None) -> Any:
    """A tensor whose values do not matter: zeros."""
    return full(shape, 0, dtype)


def _like(x: Any, value: Any, wanted: Any) -> Any:
    given = as_value(x)
    return full(given.shape, value, given.dtype if wanted is None else wanted)


@operation("numpy", "ZerosLike", settings=("dtype",))
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros in the shape and, by default, dtype of x."""
    return _like(x, 0, dtype)


@operation("numpy", "OnesLike", settings=("dtype",))
def ones_like(x: Any, dtype: Any = None) -> Any:
    """Ones in the shape and, by default, dtype of x."""
    return _like(x, 1, dtype)


@operation("numpy", "FullLike", settings=("dtype",))
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """One value in the shape and, by default, dtype of x."""
    return _like(x, fill_value, dtype)


def _made(make: Callable[[], np.ndarray[Any, Any]], wanted: Any) -> Any:
    return as_value(make().astype(as_dtype(wanted)))


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Numbers from `start` (default 0) up to but not including `stop`, `step` (default 1) apart.

    int32 where all are integers, else the default float type, unless told otherwise.
    """
    low, high = (0, start) if stop is None else (start, stop)
    step = 1 if step is None else step
    if dtype is None:
        whole = all(isinstance(part, (int, np.integer)) for part in (low, high, step))
        dtype = "int32" if whole else None
    return _made(lambda: np.arange(low, high, step), dtype)


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """`num` numbers at equal distances from `start` to `stop`."""
    return _made(lambda: np.linspace(start, stop, num, endpoint=endpoint, axis=axis), dtype)


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:  # noqa: N803  (Keras's names)
    """A matrix with ones on the k-th diagonal."""
    return _made(lambda: np.eye(N, M, k), dtype)


def identity(n: int, dtype: Any = None) -> Any:
    """The identity matrix."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:  # noqa: N803  (Keras's names)
    """A matrix with ones at and below the k-th diagonal."""
    return _made(lambda: np.tri(N, M, k), dtype)
