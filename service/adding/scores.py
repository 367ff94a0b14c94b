"""A model's output as the service reads it: one value for each class, (n, classes)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.adding.decision import Decision
from service.adding.order import AddError

_ENDS = ("softmax", "sigmoid")
_RESHAPING = ("Flatten", "Reshape")
_SUM_TOLERANCE = 0.02
_VALUE_TOLERANCE = 1e-3


def with_scores(model: Any, wanted: int | None) -> tuple[Any, list[Decision]]:
    """The model with one output of two axes, and what was settled about it.

    Args:
        model: Takes images as the service feeds them. wanted: How many labels the user gives; None: unknown.

    Raises:
        AddError: no output, or more than one, looks like the scores of classes.
    """
    outputs = list(model.outputs)
    names = list(getattr(model, "output_names", None) or (value.name for value in outputs))
    chosen = _choose(outputs, names, wanted)
    decisions = []
    scores = outputs[chosen]
    if len(outputs) > 1:
        text = _described(names[chosen], scores)
        decisions.append(Decision("output", text, f"of {len(outputs)}, the one that looks like class scores"))
    if len(scores.shape) == 2 and len(outputs) == 1:
        return model, decisions
    from engine import Model, layers

    if len(scores.shape) != 2:
        scores = layers.Flatten()(scores)
    return Model(model.inputs, scores, name=model.name), decisions


def _choose(outputs: list[Any], names: list[str], wanted: int | None) -> int:
    """The number of the output with the scores."""
    counts = [_classes(tuple(value.shape)) for value in outputs]
    found = [number for number, count in enumerate(counts) if count]
    if len(found) > 1 and wanted is not None:
        found = [number for number in found if counts[number] == wanted]
    if len(found) > 1:  # training's side outputs
        found = [number for number in found if "aux" not in names[number].lower()]
    if len(found) > 1:  # of one number and many, the many are classes
        found = [number for number in found if counts[number] != 1]
    if len(found) != 1:
        listed = ", ".join(map(_described, names, outputs))
        raise AddError(
            f"expected a model with one output of class scores, (batch, classes), but it gives {len(outputs)}: {listed}"
        )
    return found[0]


def _classes(shape: tuple[int | None, ...]) -> int | None:
    """How many classes an output of this shape tells apart; None where it is no such output."""
    lengths = [length for length in shape[1:] if length != 1]
    if len(shape) < 2 or len(lengths) > 1:
        return None
    return lengths[0] if lengths else 1


def _described(name: str, output: Any) -> str:
    lengths = ", ".join("any" if length is None else str(length) for length in output.shape)
    return f"{name} ({lengths})"


def settle_activation(model: Any, ends_in: str | None, values: NDArray[np.float32]) -> tuple[Any, str, Decision]:
    """The model with at least two classes, the activation for serving.toml, and what was settled.

    Args:
        model: With one output (n, classes).
        ends_in: `softmax` or `sigmoid` where the model's last layer is that; None for others.
        values: Its outputs for some images.

    Raises:
        AddError: the outputs are no numbers.
    """
    if not np.all(np.isfinite(values)):
        raise AddError("the trial run failed: the model's outputs for ordinary images are not finite; "
                       "--preprocess may be wrong")  # fmt: skip
    within = bool(np.all(values >= -_VALUE_TOLERANCE) and np.all(values <= 1 + _VALUE_TOLERANCE))
    sums = values.sum(axis=1)
    if values.shape[1] == 1:
        return _two_classes(model, probability=ends_in == "sigmoid" or within, surely=ends_in == "sigmoid")
    if ends_in is not None:
        return model, "none", Decision("output", "as it is", f"the model ends in a {ends_in}")
    if within and bool(np.all(np.abs(sums - 1) < _SUM_TOLERANCE)):
        return model, "none", Decision("output", "as it is", "its values lie from 0 to 1 and add up to 1")
    lowest, highest, total = (f"{value:.3g}" for value in (values.min(), values.max(), sums.mean()))
    reason = f"values from {lowest} to {highest} that add up to {total} are no probabilities"
    return model, "softmax", Decision("output", "a softmax follows", reason)


def _two_classes(model: Any, *, probability: bool, surely: bool) -> tuple[Any, str, Decision]:
    """The model of one output with two: how likely it is not, and how likely it is."""
    from engine import Model, layers

    [yes] = model.outputs
    if not probability:
        yes = layers.Activation("sigmoid")(yes)
    no = layers.Rescaling(-1.0, 1.0)(yes)
    pair = layers.Concatenate()([no, yes])
    kept = "a probability" if surely else "from 0 to 1 in the trial and so taken for a probability"
    reason = "the model gives one number, " + (kept if probability else "made a probability by a sigmoid")
    return Model(model.inputs, pair, name=model.name), "none", Decision("output", "two classes, no and yes", reason)


def ending(output: Any) -> str | None:
    """`softmax` or `sigmoid` where that makes an output of a model, before its shape alone is changed."""
    while output.history is not None:
        operation, call, number = output.history
        if getattr(operation, "outputs", None):  # a model inside
            output = operation.outputs[number]
            continue
        kind = type(operation).__name__
        if kind not in _RESHAPING:
            activation = getattr(getattr(operation, "activation", None), "__name__", "")
            return next((end for end in _ENDS if end in (activation, kind.lower())), None)
        output = operation.inbound_nodes[call].input_tensors[0]
    return None
