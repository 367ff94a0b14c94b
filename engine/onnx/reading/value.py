"""Value: a tensor of the file while its graph is translated."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.onnx.axes import Order, inverse, ordered, same
from engine.tensor import Tensor


class Quantized(NamedTuple):
    """What integers stand for: floats = (integers - zero point) · scale.

    Attributes:
        tensor: the floats, in the order of the integers.
        scale, zero_point: one, or one for each entry of the axis.
        axis: the file's.
    """

    tensor: Any
    scale: NDArray[Any]
    zero_point: NDArray[Any]
    axis: int

    def is_undone_by(self, scale: NDArray[Any], zero_point: NDArray[Any], axis: int) -> bool:
        """Whether dequantising with these gives the floats."""
        same = np.array_equal(self.scale, scale) and np.array_equal(self.zero_point, zero_point)
        return same and (scale.size == 1 or axis == self.axis)


class Value:
    """A tensor of the file: a constant, or a placeholder whose axes may lie in another order than the file's.

    Args:
        name: the file's.
        tensor: the placeholder, or the tensor of a constant.
        order: our axis i is the file's axis `order[i]`; default: as in the file.
        constant: the values in the file's order; of dtype object where there are sizes among them.
        filling: the number that is everywhere in it, where that is known and its shape is not.
        quantized: of integers that stand for floats: those floats.
        columns: of a matrix whose columns lie elsewhere than in the file: our column j is the file's `columns[j]`.
    """

    __slots__ = ("_tensor", "columns", "constant", "filling", "name", "order", "quantized")

    def __init__(
        self,
        name: str,
        tensor: Any = None,
        order: Order | None = None,
        constant: NDArray[Any] | None = None,
        columns: NDArray[np.intp] | None = None,
        filling: float | None = None,
        quantized: Quantized | None = None,
    ) -> None:
        if tensor is None and constant is None:
            raise TypeError(f"Value {name!r} needs a tensor or a constant.")
        self.name = name
        self.constant = constant
        self._tensor = tensor
        self.order = same(self.rank) if order is None else order
        self.columns = columns
        self.filling = filling
        self.quantized = quantized

    def renamed(self, name: str) -> Value:
        """The same value under another name."""
        return Value(name, self._tensor, self.order, self.constant, self.columns, self.filling, self.quantized)

    @property
    def is_constant(self) -> bool:
        return self.constant is not None

    @property
    def is_text(self) -> bool:
        """Whether this is a constant of texts, which nothing is computed of."""
        return self.constant is not None and self.constant.dtype.kind == "U"

    @property
    def is_zero(self) -> bool:
        """Whether all its numbers are known to be 0."""
        return self.filling == 0 or (
            self.constant is not None and self.constant.dtype.kind in "biuf" and not self.constant.any()
        )

    @property
    def is_sizes(self) -> bool:
        """Whether this is a constant with free lengths in it."""
        return self.constant is not None and self.constant.dtype == object

    @property
    def tensor(self) -> Any:
        """What ops and layers take, in our order."""
        if self._tensor is None:
            assert self.constant is not None
            if self.constant.dtype == object:
                raise ValueError(f"{self.name!r} holds free lengths, which cannot be computed with when the model runs")
            self._tensor = Tensor(np.asarray(self.constant, order="C"))
        return self._tensor

    @property
    def rank(self) -> int:
        return self.constant.ndim if self.constant is not None else len(self._tensor.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.constant.dtype if self.constant is not None else self._tensor.dtype

    @property
    def static_shape(self) -> tuple[int | None, ...]:
        """The lengths in the file's order; None where free."""
        if self.constant is not None:
            return self.constant.shape
        return ordered(self._tensor.shape, inverse(self.order))

    def axis(self, axis: int) -> int:
        """Our axis of the file's (negative ones count from the end)."""
        return self.order.index(self.positive(axis))

    def positive(self, axis: int) -> int:
        """An axis of the file counted from the front.

        Raises:
            ValueError: there is no such axis.
        """
        if not -self.rank <= axis < self.rank:
            raise ValueError(f"axis {axis} of {self.name!r}, which has {self.rank} axes, does not exist")
        return axis % self.rank

    def __repr__(self) -> str:
        what = "constant" if self.is_constant else f"order {self.order}"
        return f"<Value {self.name!r} {self.static_shape} {self.dtype} {what}>"
