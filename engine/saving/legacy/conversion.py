"""Weights that were laid out otherwise: those of Keras 1's layers, and of the recurrent layers written for cuDNN."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.primitives.primitive import Array
from engine.saving import hdf5
from engine.saving.legacy.container import SavedLayer
from engine.variable import Variable

_Weights = list[tuple[str, Any]]


@dataclass(frozen=True)
class Converted:
    """A weight that comes of datasets; nothing is read before it is asked for."""

    shape: tuple[int, ...]
    parts: tuple[Any, ...]
    combine: Callable[..., Array]


def shape(item: Any) -> tuple[int, ...]:
    """The shape of a dataset or of what is made of some."""
    return item.shape if isinstance(item, Converted) else hdf5.shape(item)


def read(item: Any) -> Array:
    """The values of a dataset or of what is made of some."""
    if isinstance(item, Converted):
        return item.combine(*(read(part) for part in item.parts))
    return hdf5.read_array(item)


# cuDNN ------------------------------------------------------------------------------------------------------------


def from_cudnn(weights: _Weights, variables: Sequence[Variable]) -> _Weights:
    """A layer's weights, those of `CuDNNLSTM` and `CuDNNGRU` in the layout of the plain layers.

    cuDNN has two biases, one after the other, where the LSTM has one and the GRU two rows; its kernels lie gate by gate
    in the order of columns.

    Args:
        variables: what the weights are for, one each.
    """
    found = list(weights)
    for place in range(2, len(found)):
        target = variables[place].shape
        (_, kernel), (_, recurrent), (name, bias) = found[place - 2 : place + 1]
        shapes = [shape(item) for item in (kernel, recurrent, bias)]
        units = target[-1] // 4 if len(target) == 1 else target[-1] // 3 if len(target) == 2 else 0
        gates = target[-1] // units if units else 0
        if not units or gates not in (3, 4) or shapes[1] != (units, gates * units):
            continue
        if len(shapes[0]) != 2 or shapes[0][1] != gates * units or shapes[2] != (2 * gates * units,):
            continue
        found[place - 2] = (found[place - 2][0], Converted(shapes[0], (kernel,), _by_gate(gates, _in_columns)))
        found[place - 1] = (found[place - 1][0], Converted(shapes[1], (recurrent,), _by_gate(gates, np.transpose)))
        found[place] = (name, Converted(target, (bias,), _summed if gates == 4 else _in_rows))
    return found


def _by_gate(gates: int, change: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda kernel: np.hstack([change(gate) for gate in np.hsplit(kernel, gates)])


def _in_columns(gate: Array) -> Array:
    return gate.T.reshape(gate.shape, order="F")


def _summed(bias: Array) -> Array:
    first, second = np.split(bias, 2)
    return first + second


def _in_rows(bias: Array) -> Array:
    return bias.reshape(2, -1)


# Keras 1 ----------------------------------------------------------------------------------------------------------

_KINDS = {
    "U": "recurrent_kernel",
    "W": "kernel",
    "alphas": "alpha",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
}
_ENDING = re.compile(r"_(W|U|b|alphas|gamma|beta|running_mean|running_std)(?:_\d+)?(?::\d+)?$")
_GATE = re.compile(r"_(W|U|b)_(i|f|c|o|z|r|h)(?:_\d+)?(?::\d+)?$")
# The order of gates in a layer's single kernel, by their number.
_GATES = {4: "ifco", 3: "zrh"}


def from_keras_1(saved: SavedLayer, layer: Any) -> SavedLayer:
    """The weights of a layer that Keras 1 wrote, with the names, shapes and order of Keras 2's.

    Args:
        layer: ours, whose class tells convolutions of one dimension and transposed ones.
    """
    weights = _with_one_kernel(saved.weights)
    weights = [(name, _reshaped(item, layer)) for name, item in weights]
    return SavedLayer(saved.name, [(_renamed(name), item) for name, item in weights])


def _renamed(name: str) -> str:
    found = _ENDING.search(name)
    return f"{name[: found.start()]}/{_KINDS.get(found[1], found[1])}" if found else name


def _with_one_kernel(weights: _Weights) -> _Weights:
    """The kernels, recurrent kernels and biases of gates put together: Keras 1 kept one of each by gate."""
    result: _Weights = []
    place = 0
    while place < len(weights):
        gates = next((count for count in (4, 3) if _are_gates(weights[place : place + 3 * count], count)), 0)
        if not gates:
            result.append(weights[place])
            place += 1
            continue
        parts = {}
        for name, item in weights[place : place + 3 * gates]:
            kind, gate = _GATE.search(name).groups()  # type: ignore[union-attr]
            parts[kind, gate] = item
        prefix = weights[place][0].rsplit("_W_", 1)[0]
        for kind in ("W", "U", "b"):
            items = tuple(parts[kind, gate] for gate in _GATES[gates])
            first = shape(items[0])
            whole = (*first[:-1], sum(shape(item)[-1] for item in items))
            joined = Converted(whole, items, lambda *arrays: np.concatenate(arrays, axis=-1))
            result.append((f"{prefix}_{kind}", joined))
        place += 3 * gates
    return result


def _are_gates(weights: _Weights, count: int) -> bool:
    found = [_GATE.search(name) for name, _ in weights]
    names = {match.groups() for match in found if match}
    return names == {(kind, gate) for kind in "WUb" for gate in _GATES[count]} and all(
        len(shape(item)) > 0 for _, item in weights
    )


def _reshaped(item: Any, layer: Any) -> Any:
    """A kernel as Keras 2 lays it out."""
    kind, given = type(getattr(layer, "layer", layer)).__name__, shape(item)
    if kind == "Conv1D" and len(given) == 4:
        filters, length = layer.filters, layer.kernel_size[0]
        if given[:2] != (length, 1) or given[3] != filters:  # Keras 1.1: (filters, channels, length, 1)
            return Converted((given[2], given[1], given[0]), (item,), lambda a: np.transpose(a, (2, 3, 1, 0))[:, 0])
        return Converted((given[0], given[2], given[3]), (item,), lambda a: a[:, 0])
    if kind == "Conv2DTranspose" and len(given) == 4:
        return Converted((*given[:2], given[3], given[2]), (item,), lambda a: np.transpose(a, (0, 1, 3, 2)))
    return item
