"""Variables: named state that persists between steps (weights, moving statistics, counters)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.allowance import claim
from engine.dtypes import as_dtype
from engine.scopes import current_graph, current_tapes
from engine.tensor import Borrowed, Symbol, Tensor, Value

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Epoch:
    """Counts changes, so that whoever built on how things were notices with one comparison."""

    count = 0


storage_epoch = _Epoch()
"""Of any variable's memory: it was replaced."""
structure_epoch = _Epoch()
"""Of who owns which variables and layers, and of which variables are trained."""


class Variable(Value):
    """State of fixed shape and dtype.

    Args:
        initializer: an array-like, or a callable `(shape, dtype)` giving one; None: the memory stays as it is found, to
            be assigned before it is read.
        shape: needed with a callable and with None.
        dtype: default: the initial value's for arrays, the default float type otherwise.
        trainable: whether optimizers update it.
        name: default "variable".

    The memory is written in place by assignments, so its address is stable and plans bind to it. It is never handed
    out: `value` and `numpy()` copy, and operations that would return a view of a variable copy as well.
    """

    __slots__ = (
        "__weakref__",
        "_taped",
        "_trainable",
        "array",
        "autocast",
        "constraint",
        "dtype",
        "name",
        "path",
        "regularizer",
        "shape",
        "version",
    )

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        self.name = name or "variable"
        self.path = self.name  # owners prefix it
        self.trainable = trainable
        self.autocast = True  # whether operations in a mixed-precision layer see it in the layer's compute dtype
        self.regularizer: Callable[[Any], Any] | None = None
        self.constraint: Callable[[Any], Any] | None = None
        self.version = 0
        self._taped = False  # whether a tape may hold the memory as a value
        if initializer is None or callable(initializer):
            if shape is None:
                raise ValueError(f"Variable {self.name!r}: a shape is needed with an initializer function.")
            claim(self.name, shape, as_dtype(dtype))
        lengths = tuple(shape or ())
        if initializer is None:
            self.array: np.ndarray[Any, Any] = aligned_empty(lengths, as_dtype(dtype))
        else:
            initial = initializer(lengths, dtype=as_dtype(dtype)) if callable(initializer) else initializer
            array = _as_array(initial, dtype)
            if shape is not None and array.shape != tuple(shape):
                raise ValueError(
                    f"Variable {self.name!r}: expected an initial value of shape {tuple(shape)}, received {array.shape}"
                )
            # An owned, aligned copy: kernels bind to this address.
            self.array = aligned_empty(array.shape, array.dtype)
            self.array[...] = array
        self.shape: tuple[int, ...] = self.array.shape
        self.dtype = self.array.dtype

    @property
    def trainable(self) -> bool:
        """Whether optimizers update it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value
        structure_epoch.count += 1

    # Reading --------------------------------------------------------------------------------------

    def read(self) -> Tensor | Symbol:
        """The current value for an operation: a symbol under capture, else a tensor over the live memory."""
        graph = current_graph()
        value: Tensor | Symbol = Borrowed(self.array) if graph is None else graph.read(self)
        tapes = current_tapes()
        for tape in tapes:
            value = tape.note_read(self, value)
        if tapes and graph is None:
            self._taped = True
        return value

    @property
    def value(self) -> Tensor | Symbol:
        """The current value; eagerly a copy, which later assignments leave alone."""
        value = self.read()
        if isinstance(value, Symbol) or current_tapes():
            return value
        return Tensor(self.array.copy())

    def numpy(self) -> np.ndarray[Any, Any]:
        """A copy of the current value.

        Raises:
            CaptureError: a graph is captured, which reads the variable each time it runs, not now.
        """
        return np.array(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if current_graph() is not None:
            self.read().numpy()  # refuses
        return np.array(self.array, dtype=dtype)

    # Writing --------------------------------------------------------------------------------------

    def assign(self, value: Any) -> Any:
        """Sets the value; raises ValueError where the shape differs. Casts to the variable's dtype."""
        graph = current_graph()
        if isinstance(value, Variable):
            value = value.read()
        shape = value.shape if hasattr(value, "shape") else np.shape(value)
        if tuple(shape) != self.shape:
            raise ValueError(f"Variable {self.path!r}: expected a value of shape {self.shape}, received {tuple(shape)}")
        if graph is not None:
            graph.assign(self, value)
            return value
        if self._taped:
            # A tape may still need the old value: leave its memory alone and let plans bind anew.
            self._taped = False
            fresh = aligned_empty(self.shape, self.dtype)
            fresh[...] = value.array if isinstance(value, Tensor) else value
            self.array = fresh
            storage_epoch.count += 1
        else:
            self.array[...] = value.array if isinstance(value, Tensor) else value
        self.version += 1
        return self

    def assign_add(self, value: Any) -> Any:
        return self.assign(self + value)

    def assign_sub(self, value: Any) -> Any:
        return self.assign(self - value)

    # Python ---------------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        return bool(self.read())

    def __int__(self) -> int:
        return int(self.read())

    def __float__(self) -> float:
        return float(self.read())

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype.name}>"


def _as_array(initial: Any, dtype: Any) -> np.ndarray[Any, Any]:
    if isinstance(initial, Value) and not isinstance(initial, Symbol):
        initial = initial.array if isinstance(initial, (Tensor, Variable)) else np.asarray(initial)
    return np.asarray(initial, dtype=None if dtype is None and hasattr(initial, "dtype") else as_dtype(dtype))


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any], alignment: int = 64) -> np.ndarray[Any, Any]:
    """An uninitialised array whose first byte lies on a cache line."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.empty(size + alignment, np.uint8)
    start = -raw.ctypes.data % alignment
    return raw[start : start + size].view(dtype).reshape(shape)
