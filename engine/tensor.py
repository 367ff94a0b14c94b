"""Values: what operations take and give.

`Tensor` is an immutable array. `Symbol` stands for an array while a computation is captured into a graph.
Operators (`+`, `@`, indexing…) are installed on `Value` by `engine.primitives`, which alone knows operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import numpy as np


class CaptureError(RuntimeError):
    """The value of a symbol was asked for while a graph is captured: the computation cannot be a plan."""


class Value:
    """What every operand has: a shape, a dtype and operators."""

    __slots__ = ("_keras_mask",)
    # Which steps of a sequence count, where a layer said so (Keras's name); read it with `mask_of`.
    _keras_mask: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    # Symbolic placeholders (`KerasTensor`) set this: operators of values with memory leave the work to theirs.
    deferred = False
    # NumPy's operators give way to ours, so that `array * tensor` is a tensor.
    __array_priority__ = 1000

    if TYPE_CHECKING:  # installed by `engine.primitives.operators`

        def __add__(self, other: Any) -> Any: ...
        def __radd__(self, other: Any) -> Any: ...
        def __sub__(self, other: Any) -> Any: ...
        def __rsub__(self, other: Any) -> Any: ...
        def __mul__(self, other: Any) -> Any: ...
        def __rmul__(self, other: Any) -> Any: ...
        def __truediv__(self, other: Any) -> Any: ...
        def __rtruediv__(self, other: Any) -> Any: ...
        def __floordiv__(self, other: Any) -> Any: ...
        def __rfloordiv__(self, other: Any) -> Any: ...
        def __mod__(self, other: Any) -> Any: ...
        def __rmod__(self, other: Any) -> Any: ...
        def __pow__(self, other: Any) -> Any: ...
        def __rpow__(self, other: Any) -> Any: ...
        def __matmul__(self, other: Any) -> Any: ...
        def __rmatmul__(self, other: Any) -> Any: ...
        def __lt__(self, other: Any) -> Any: ...
        def __le__(self, other: Any) -> Any: ...
        def __gt__(self, other: Any) -> Any: ...
        def __ge__(self, other: Any) -> Any: ...
        def __neg__(self) -> Any: ...
        def __abs__(self) -> Any: ...
        def __invert__(self) -> Any: ...
        def __getitem__(self, key: Any) -> Any: ...

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        count = 1
        for length in self.shape:
            count *= length
        return count

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("A scalar has no length.")
        return self.shape[0]

    def __hash__(self) -> int:
        return id(self)


class Tensor(Value):
    """An immutable array of fixed shape and dtype; the eager value of every operation."""

    __slots__ = ("__weakref__", "array", "dtype", "shape")

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        # `array` becomes the tensor's own: nobody may write to it afterwards.
        self.array = array
        self.shape: tuple[int, ...] = array.shape
        self.dtype = array.dtype

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values as a read-only view; copy it to change it."""
        view = self.array.view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if copy:
            return np.array(self.array, dtype=dtype)
        view = self.numpy()
        return view if dtype is None else view.astype(dtype, copy=False)

    def item(self) -> Any:
        return self.array.item()

    def tolist(self) -> Any:
        return self.array.tolist()

    def __bool__(self) -> bool:
        return bool(self.array)

    def __int__(self) -> int:
        return int(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def __index__(self) -> int:
        return self.array.__index__()

    def __repr__(self) -> str:
        values = np.array2string(self.array, separator=", ", threshold=100)
        return f"Tensor(shape={self.shape}, dtype={self.dtype.name}, values={values})"


class Borrowed(Tensor):
    """A tensor over memory that somebody else may write to later: a variable's, or an array of the user's.

    It is to be used at once; what operations make of it never shares its memory.
    """

    __slots__ = ()


class Recorder(Protocol):
    """What operations on symbols are recorded into: a graph."""

    def record(self, primitive: Any, values: Any, options: dict[str, Any]) -> tuple[Symbol, ...]:
        """Adds an operation; returns its outputs and residuals."""

    def read(self, variable: Any) -> Symbol:
        """The value of a variable at this point of the computation."""

    def assign(self, variable: Any, value: Any) -> None:
        """Gives a variable another value from this point on."""


class Symbol(Value):
    """An array yet to be computed: one input, constant, variable or node output of a graph."""

    __slots__ = ("__weakref__", "dtype", "graph", "index", "node", "shape")

    def __init__(
        self, graph: Recorder, shape: tuple[int, ...], dtype: np.dtype[Any], node: Any = None, index: int = 0
    ) -> None:
        self.graph = graph
        self.shape: tuple[int, ...] = shape
        self.dtype = dtype
        self.node = node  # None for inputs, constants and variables
        self.index = index

    def _refuse(self, what: str) -> NoReturn:
        raise CaptureError(
            f"{what} needs the value of a tensor of shape {self.shape}, which does not exist while a plan is captured."
        )

    def numpy(self) -> NoReturn:
        self._refuse("numpy()")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        self._refuse("Conversion to NumPy")

    def item(self) -> NoReturn:
        self._refuse("item()")

    def tolist(self) -> NoReturn:
        self._refuse("tolist()")

    def __bool__(self) -> NoReturn:
        self._refuse("A Python condition")

    def __int__(self) -> NoReturn:
        self._refuse("int()")

    def __float__(self) -> NoReturn:
        self._refuse("float()")

    def __index__(self) -> NoReturn:
        self._refuse("Indexing a Python sequence")

    def __repr__(self) -> str:
        return f"Symbol(shape={self.shape}, dtype={self.dtype.name})"


def mask_of(value: Any) -> Any:
    """The mask that a layer has put on a value: bool (batch, time), False for steps to skip; or None."""
    return getattr(value, "_keras_mask", None)


def full_like(value: Any, number: float) -> Any:
    """A constant tensor of one number, like `value` in shape and dtype."""
    return Tensor(np.broadcast_to(np.asarray(number, value.dtype), value.shape))


def is_zero(value: Any) -> bool:
    """Whether `value` was made by `full_like(…, 0)`: a gradient that nobody asked for, to be skipped."""
    return isinstance(value, Tensor) and value.size > 0 and not any(value.array.strides) and not value.array.flat[0]
