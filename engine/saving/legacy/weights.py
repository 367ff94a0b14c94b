"""Weights of old files into a model: layer by layer, in order or by name.

Within a layer the file has the trainable weights first, so that in a nested model the order depends on what was frozen
when the file was written. Names settle it where they are the model's own; else the order whose kinds of weights
("kernel", "gamma", …) are those of the file's names.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from engine.primitives.primitive import Array
from engine.saving import hdf5
from engine.saving.legacy.container import TOP_LEVEL, SavedLayer, backend, saved_layer, saved_layers, version
from engine.saving.legacy.conversion import from_cudnn, from_keras_1, read, shape
from engine.saving.tree import mismatches, shortened
from engine.variable import Variable

if TYPE_CHECKING:
    import h5py

OPTIMIZER = "optimizer_weights"
"""The group of an optimizer's state, which lies beside the layers in some files."""

_Pair = tuple[Variable, str, Any]

# What a kind of weight was called before.
_FORMER_KINDS = {"depthwise_kernel": "kernel", "running_mean": "moving_mean", "running_std": "moving_variance"}


def read_weights(
    group: h5py.Group,
    model: Any,
    by_name: bool = False,
    whole: bool = False,
    skip_mismatch: bool = False,
    restore: bool = False,
) -> None:
    """Gives the layers of a model their weights.

    Args:
        group: the group that lists the layers.
        by_name: layers get the weights of the file's layer of their name, and those without one keep what they have;
            else the layers that have weights are matched in their order, whatever they are called.
        whole: the model was made from the same file, so that its layers have the names of the file's.
        skip_mismatch: weights that do not fit are left as they are, with a warning.
        restore: in case of an error, all weights get back what they had (a copy is kept meanwhile).

    Raises:
        ValueError: lists what is missing, left over or of another shape, the first few. Nothing is set then.
    """
    problems: list[str] = []
    pairs: list[_Pair] = []
    is_first = version(group.file) < (2, 0)
    for layer, saved in _named(group, model, problems) if by_name else _ordered(group, model, whole):
        converted = from_keras_1(saved, layer) if is_first else saved
        pairs += _pairs(layer.name, _orders(layer), converted, problems)
    if hdf5.child(group, TOP_LEVEL) is not None:
        own = model._own_variables()
        pairs += _pairs(model.name, [own], saved_layer(group, TOP_LEVEL), problems)
    if not by_name:
        problems += _unlisted(group)
    if problems and not skip_mismatch:
        raise ValueError(mismatches(problems))
    if problems:
        warnings.warn(mismatches(problems), stacklevel=4)
    before = [(variable, variable.numpy()) for variable, _, _ in pairs] if restore else []
    flips = backend(group) == "theano"
    try:
        for variable, name, dataset in pairs:
            array = read(dataset)
            variable.assign(_turned(array) if flips and _last(name, 1) == "kernel" else array)
    except ValueError:
        for variable, value in before:
            variable.assign(value)
        raise


def _turned(kernel: Array) -> Array:
    """A kernel of Theano, whose convolutions went through their windows backwards; others than theirs as they are."""
    spatial = kernel.ndim - 2
    return kernel[(slice(None, None, -1),) * spatial] if spatial > 0 else kernel


def _ordered(group: h5py.Group, model: Any, whole: bool) -> list[tuple[Any, SavedLayer]]:
    """The layers with weights and what the file has for each, in their order (of a `whole` model, by their names)."""
    layers = [layer for layer in model.layers if layer.weights]
    saved = [item for item in saved_layers(group) if item.weights]
    if len(layers) != len(saved):
        ours, theirs = {layer.name for layer in layers}, {item.name for item in saved}
        raise ValueError(
            mismatches(
                [
                    f"the model has {len(layers)} layers with weights, the file {len(saved)}",
                    *_listed("only the model has", (layer.name for layer in layers if layer.name not in theirs)),
                    *_listed("only the file has", (item.name for item in saved if item.name not in ours)),
                ]
            )
        )
    if whole and {layer.name for layer in layers} == {item.name for item in saved}:
        by_name = {item.name: item for item in saved}
        return [(layer, by_name[layer.name]) for layer in layers]
    return list(zip(layers, saved, strict=True))


def _named(group: h5py.Group, model: Any, problems: list[str]) -> list[tuple[Any, SavedLayer]]:
    """The layers that the file knows by name, and what it has for each."""
    saved = {item.name: item for item in saved_layers(group)}
    found = [(layer, saved[layer.name]) for layer in model.layers if layer.name in saved]
    if not any(item.weights for _, item in found):
        theirs = ", ".join(shortened(list(saved))) or "none at all"
        problems.append(f"the file has weights for no layer of the model; it has {theirs}")
    return found


def _unlisted(group: h5py.Group) -> list[str]:
    """What lies in the file beside the weights that it lists."""
    listed = {f"{item.name}/{name}" for item in saved_layers(group) for name, _ in item.weights}
    if hdf5.child(group, TOP_LEVEL) is not None:
        listed |= {f"{TOP_LEVEL}/{name}" for name, _ in saved_layer(group, TOP_LEVEL).weights}
    others = {path for path, _ in hdf5.datasets(group)} - {path.replace("//", "/") for path in listed}
    kept = sorted(path for path in others if path.split("/")[0] != OPTIMIZER)
    return _listed("the file has weights that none of its lists names:", kept)


def _listed(what: str, names: Iterable[str]) -> list[str]:
    listed = ", ".join(shortened(list(names)))
    return [f"{what} {listed}"] if listed else []


def _pairs(layer: str, orders: Sequence[Sequence[Variable]], saved: SavedLayer, problems: list[str]) -> list[_Pair]:
    """A layer's variables, each with its name in the file and its dataset; what does not fit is left out."""
    variables = _chosen(orders, saved)
    known = "" if saved.name == layer else f" (in the file {saved.name!r})"
    if variables is None:
        problems.append(
            f"the weights of {layer!r}{known} lie in an order that comes of what was frozen when they were saved, and "
            "their names do not tell which is which; freeze the same layers before loading"
        )
        return []
    if len(variables) != len(saved.weights):
        theirs = ", ".join(f"{name} {shape(dataset)}" for name, dataset in saved.weights) or "none"
        ours = ", ".join(f"{variable.path} {variable.shape}" for variable in variables) or "none"
        problems.append(
            f"layer {layer!r}{known} expects {len(variables)} weights ({ours}), "
            f"but {len(saved.weights)} were saved ({theirs})"
        )
        return []
    pairs: list[_Pair] = []
    for variable, (name, dataset) in zip(variables, from_cudnn(saved.weights, variables), strict=True):
        if shape(dataset) == variable.shape:
            pairs.append((variable, name, dataset))
        else:
            problems.append(
                f"layer {layer!r}{known}: {variable.path} has shape {variable.shape}, the saved {name} {shape(dataset)}"
            )
    return pairs


def _orders(layer: Any) -> list[list[Variable]]:
    """Orders in which a file may have a layer's weights: as it is now, as if nothing were frozen, as it was built."""
    now = [*layer.trainable_weights, *layer.non_trainable_weights]
    first: list[Variable] = []
    rest: list[Variable] = []
    for part in layer._flatten_layers():
        trainable = {id(variable) for variable in part._trainable_variables}
        for variable in part._own_variables():
            (first if id(variable) in trainable else rest).append(variable)
    return [now, [*first, *rest], list(layer.weights)]


def _chosen(orders: Sequence[Sequence[Variable]], saved: SavedLayer) -> Sequence[Variable] | None:
    """The variables in the order of the file's weights; None where the names show that it is none of the orders."""
    by_name = {_last(variable.path, 2): variable for variable in orders[0]}
    named = [_last(name, 2) for name, _ in saved.weights]
    if len(by_name) == len(orders[0]) == len(named) and set(named) == set(by_name):
        return [by_name[name] for name in named]
    kinds = [_kind(name) for name, _ in saved.weights]
    for order in orders:
        if [_kind(variable.path) for variable in order] == kinds:
            return order
    if len(kinds) > 1 and sorted(kinds) == sorted(_kind(variable.path) for variable in orders[0]):
        return None
    shapes = [shape(dataset) for _, dataset in saved.weights]
    return next((order for order in orders if [variable.shape for variable in order] == shapes), orders[0])


def _last(path: str, parts: int) -> str:
    """The end of a weight's name, without the number of the output that TensorFlow appended."""
    return "/".join(path.removesuffix(":0").split("/")[-parts:])


def _kind(path: str) -> str:
    kind = _last(path, 1)
    return _FORMER_KINDS.get(kind, kind)
