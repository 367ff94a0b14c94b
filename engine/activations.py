"""Activation functions by name (`keras.activations`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import ops
from engine.identifiers import resolve
from engine.registry import deserialize as _deserialize
from engine.registry import place, registered
from engine.registry import serialize as _serialize

_MODULE = "keras.activations"


@registered(_MODULE)
def linear(x: Any) -> Any:
    """x."""
    return x


@registered(_MODULE)
def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """x from `threshold` on, at most `max_value`; below it negative_slope · (x - threshold)."""
    if threshold == 0.0 and negative_slope == 0.0:
        return ops.relu(x) if max_value is None else ops.clip(x, 0.0, float(max_value))
    if threshold == 0.0 and max_value is None:
        return ops.leaky_relu(x, negative_slope)
    above = x if max_value is None else ops.minimum(x, max_value)
    return ops.where(ops.greater_equal(x, threshold), above, (x - threshold) * negative_slope)


@registered(_MODULE)
def gelu(x: Any, approximate: bool = False) -> Any:
    """x times the normal distribution function at x; with `approximate` by tanh."""
    return ops.gelu(x, approximate)


@registered(_MODULE)
def mish(x: Any) -> Any:
    """x · tanh(softplus(x))."""
    return x * ops.tanh(ops.softplus(x))


@registered(_MODULE)
def exponential(x: Any) -> Any:
    """exp(x)."""
    return ops.exp(x)


@registered("keras.src.legacy.activations")
def former_hard_sigmoid(x: Any) -> Any:
    """x / 5 + 1/2 within 0..1: what "hard_sigmoid" was up to Keras 2; it is x / 6 + 1/2 since."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@registered(_MODULE)
def softmax(x: Any, axis: Any = -1) -> Any:
    """exp(x) divided by its sum along an axis, or several. Raises ValueError for tensors of one axis."""
    if len(x.shape) <= 1:
        raise ValueError(f"softmax needs at least two axes. Received: shape {tuple(x.shape)}")
    return ops.softmax(x, axis)


def _named(function: Callable[..., Any], *aliases: str) -> Any:
    return registered(_MODULE, *aliases)(function)


celu = _named(ops.celu)
elu = _named(ops.elu)
glu = _named(ops.glu)
hard_shrink = _named(ops.hard_shrink)
hard_sigmoid = _named(ops.hard_sigmoid)
hard_silu = _named(ops.hard_silu, "hard_swish")
hard_swish = hard_silu
hard_tanh = _named(ops.hard_tanh)
leaky_relu = _named(ops.leaky_relu)
log_sigmoid = _named(ops.log_sigmoid)
log_softmax = _named(ops.log_softmax)
relu6 = _named(ops.relu6)
selu = _named(ops.selu)
sigmoid = _named(ops.sigmoid)
silu = _named(ops.silu, "swish")
swish = silu
soft_shrink = _named(ops.soft_shrink)
softplus = _named(ops.softplus)
softsign = _named(ops.softsign)
sparse_plus = _named(ops.sparse_plus)
sparse_sigmoid = _named(ops.sparse_sigmoid)
sparsemax = _named(ops.sparsemax)
squareplus = _named(ops.squareplus)
tanh = _named(ops.tanh)
tanh_shrink = _named(ops.tanh_shrink)
threshold = _named(ops.threshold)


def get(identifier: Any) -> Any:
    """The activation of a name ("relu"), a config or a function; None means `linear`."""
    return linear if identifier is None else resolve(identifier, _MODULE, "activation function")


def serialize(activation: Any) -> Any:
    """The name of one of these functions; the config of anything else (a layer, a user's function)."""
    try:
        known = place(activation)
    except (TypeError, AttributeError):
        known = (None, "")
    if known[0] == _MODULE:
        return known[1]
    return _serialize(activation)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The activation of a name or a config."""
    return get(config) if isinstance(config, str) else _deserialize(config, custom_objects)
