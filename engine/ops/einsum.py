"""Einstein sums: any product and sum over labelled axes, brought to transposes, reshapes, sums and matrix products."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.ops.operation import Operation, any_symbolic
from engine.primitives import elementwise as e
from engine.primitives import linear, shaping
from engine.primitives.apply import as_value, owned, promoted
from engine.registry import registered

_LETTERS = re.compile(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*")
# Labels that no subscripts hold, for the axes that an ellipsis stands for.
_HIDDEN = "\u0391\u0392\u0393\u0394\u0395\u0396\u0397\u0398\u0399\u039a\u039b\u039c\u039d\u039e\u039f\u03a0\u03a1"


@registered("keras.src.ops.numpy")
class Einsum(Operation):
    """`einsum` as an operation.

    Args:
        subscripts: as for `einsum`.
        name: default: numbered "einsum".
    """

    def __init__(self, subscripts: str, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.subscripts = subscripts

    def call(self, *operands: Any) -> Any:
        """The sum of the operands' products."""
        return _einsum(self.subscripts, operands)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "subscripts": self.subscripts}


def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    """The operands multiplied and summed as subscripts say (`keras.ops.einsum`).

    Args:
        subscripts: a letter for each axis: "ij,jk->ik" is a matrix product. Axes whose letter is not in the result are
            summed over; an ellipsis stands for any axes, which broadcast. Without "->", the letters that occur once
            are in the result, in alphabetical order.
        operands: one or more tensors.
        kwargs: `optimize` is taken for compatibility: operands are joined from the left.

    Raises:
        ValueError: subscripts and operands do not fit; says which.
    """
    kwargs.pop("optimize", None)
    if kwargs:
        raise TypeError(f"einsum() got unexpected arguments: {sorted(kwargs)}")
    if any_symbolic(operands):
        return Einsum(subscripts)(*operands)
    return owned(_einsum(subscripts, operands))


def einsum_with_bias(subscripts: str, x: Any, kernel: Any, bias: Any = None) -> Any:
    """`einsum` of two operands plus a bias that broadcasts against the result."""
    first, second = promoted((x, kernel))
    labels, result = parse_subscripts(subscripts, [first.ndim, second.ndim])
    (value, found), added = _joined(first, labels[0], second, labels[1], result, bias)
    value = _arranged(value, found, result)
    return value if bias is None or added else e.add(value, bias)


def parse_subscripts(subscripts: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The labels of each operand's axes and of the result's, one character each; ellipses are replaced by labels.

    Raises:
        ValueError: the subscripts are none, or do not fit operands of these ranks.
    """
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    parts = left.split(",")
    if not all(_LETTERS.fullmatch(part) for part in (*parts, right)):
        raise ValueError(f"einsum() expects letters, commas, '...' and '->' in subscripts. Received: {subscripts!r}")
    if len(parts) != len(ranks):
        raise ValueError(f"einsum() got {len(ranks)} operands for subscripts {subscripts!r}.")
    widths = [rank - len(part.replace("...", "")) for part, rank in zip(parts, ranks, strict=True)]
    for part, rank, width in zip(parts, ranks, widths, strict=True):
        if width < 0 or (width and "..." not in part) or width > len(_HIDDEN):
            raise ValueError(f"einsum() cannot label {rank} axes by {part!r} in {subscripts!r}.")
    widest = max(width for part, width in zip(parts, widths, strict=True)) if "..." in left else 0
    hidden = _HIDDEN[:widest]
    labels = [part.replace("...", hidden[widest - width :]) for part, width in zip(parts, widths, strict=True)]
    if arrow:
        result = right.replace("...", hidden)
    else:
        every = "".join(labels)
        result = hidden + "".join(sorted(label for label in set(every) - set(hidden) if every.count(label) == 1))
    unknown = set(result) - set("".join(labels))
    if unknown or len(set(result)) != len(result):
        raise ValueError(f"einsum() expects each label of the result once, and in an operand. Received: {subscripts!r}")
    return labels, result


def _einsum(subscripts: str, operands: Sequence[Any]) -> Any:
    if not operands:
        raise ValueError("einsum() needs at least one operand.")
    values = promoted(tuple(operands)) if len(operands) > 1 else [as_value(operands[0])]
    labels, result = parse_subscripts(subscripts, [value.ndim for value in values])
    value, found = values[0], labels[0]
    for index in range(1, len(values)):
        needed = result + "".join(labels[index + 1 :])
        (value, found), _ = _joined(value, found, values[index], labels[index], needed)
    return _arranged(value, found, result)


def _arranged(value: Any, labels: str, result: str) -> Any:
    """One operand with the axes of the result, in its order; the others are summed over."""
    value, labels = _reduced(*_diagonal(value, labels), result)
    return _ordered(value, labels, result)


def _diagonal(value: Any, labels: str) -> tuple[Any, str]:
    """Where a label occurs twice, the entries at which both axes agree."""
    for label in sorted(set(labels), key=labels.index):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            length = value.shape[first]
            if value.shape[second] != length:
                raise ValueError(f"einsum() expects axes of one label to be equally long. Received: {value.shape}")
            rest = [axis for axis in range(value.ndim) if axis not in (first, second)]
            moved = shaping.transpose(value, axes=(*rest, first, second))
            shape = tuple(value.shape[axis] for axis in rest)
            flat = shaping.reshape(moved, shape=(*shape, length * length))
            places = as_value(np.arange(length, dtype=np.int32) * (length + 1))
            value = shaping.gather(flat, places, axis=flat.ndim - 1)
            labels = "".join(labels[axis] for axis in rest) + label
    return value, labels


def _reduced(value: Any, labels: str, kept: str) -> tuple[Any, str]:
    """Summed over the axes whose labels are not kept."""
    axes = tuple(axis for axis, label in enumerate(labels) if label not in kept)
    if not axes:
        return value, labels
    return shaping.reduce_sum(value, axes=axes, keepdims=False), "".join(label for label in labels if label in kept)


def _ordered(value: Any, labels: str, wanted: str) -> Any:
    order = tuple(labels.index(label) for label in wanted)
    return value if order == tuple(range(value.ndim)) else shaping.transpose(value, axes=order)


def _without_ones(value: Any, labels: str, other: Any, others: str) -> tuple[Any, str]:
    """Without the axes of length 1 that the other operand has longer ones for: they broadcast."""
    lengths = dict(zip(others, other.shape, strict=True))
    dropped = [i for i, label in enumerate(labels) if value.shape[i] == 1 and lengths.get(label, 1) != 1]
    if not dropped:
        return value, labels
    shape = tuple(length for i, length in enumerate(value.shape) if i not in dropped)
    return shaping.reshape(value, shape=shape), "".join(label for i, label in enumerate(labels) if i not in dropped)


def _joined(
    a: Any, a_labels: str, b: Any, b_labels: str, needed: str, bias: Any = None
) -> tuple[tuple[Any, str], bool]:
    """Two operands multiplied and summed over what is not needed any more: the value with its labels.

    Where a bias fits the columns of the matrix product, it is added there; the last of the result says whether.
    """
    a, a_labels = _reduced(*_diagonal(a, a_labels), needed + b_labels)
    b, b_labels = _reduced(*_diagonal(b, b_labels), needed + a_labels)
    (a, a_labels), (b, b_labels) = _without_ones(a, a_labels, b, b_labels), _without_ones(b, b_labels, a, a_labels)
    sizes = dict(zip(a_labels, a.shape, strict=True))
    for label, length in zip(b_labels, b.shape, strict=True):
        if sizes.setdefault(label, length) != length:
            raise ValueError(f"einsum() cannot join shapes {a.shape} and {b.shape}: {sizes[label]} meets {length}.")
    # What fell away above may leave labels that are in one operand only, and needed nowhere.
    a, a_labels = _reduced(a, a_labels, needed + b_labels)
    b, b_labels = _reduced(b, b_labels, needed + a_labels)
    batch = "".join(label for label in a_labels if label in b_labels and label in needed)
    rows = [label for label in needed if label in a_labels + b_labels and label not in batch]
    if rows and rows[0] in b_labels and bias is None:
        # The operand whose axes come first in the result gives the rows: then the product needs no transpose.
        a, a_labels, b, b_labels = b, b_labels, a, a_labels
    inner = "".join(label for label in a_labels if label in b_labels and label not in batch)
    left = _in_order_of(needed, a_labels, batch + inner)
    right = _in_order_of(needed, b_labels, batch + inner)
    batch_shape = tuple(sizes[label] for label in batch)
    count = {part: math.prod(sizes[label] for label in part) for part in (left, right, inner)}
    first, transpose_a = _matrix(a, a_labels, batch, left, inner, (*batch_shape, count[left], count[inner]))
    second, transpose_b = _matrix(b, b_labels, batch, inner, right, (*batch_shape, count[inner], count[right]))
    operands = [first, second]
    right_shape = tuple(sizes[label] for label in right)
    added = bias is not None and not batch and tuple(bias.shape) == right_shape and needed.endswith(right)
    if added:
        operands.append(shaping.reshape(as_value(bias), shape=(count[right],)))
    product = linear.matmul(*operands, transpose_a=transpose_a, transpose_b=transpose_b)
    labels = batch + left + right
    shape = tuple(sizes[label] for label in labels)
    return (product if product.shape == shape else shaping.reshape(product, shape=shape), labels), added


def _in_order_of(needed: str, labels: str, taken: str) -> str:
    """The labels that are not taken, in the order in which they are needed."""
    free = [label for label in labels if label not in taken]
    return "".join(sorted(dict.fromkeys(free), key=needed.index))


def _matrix(value: Any, labels: str, batch: str, rows: str, columns: str, shape: tuple[int, ...]) -> tuple[Any, bool]:
    """An operand as matrices (*batch, rows, columns), and whether these are to be transposed to be so."""
    turned = labels == batch + columns + rows and labels != batch + rows + columns
    if turned:
        shape = (*shape[:-2], shape[-1], shape[-2])
    else:
        value = _ordered(value, labels, batch + rows + columns)
    return value if value.shape == shape else shaping.reshape(value, shape=shape), turned
