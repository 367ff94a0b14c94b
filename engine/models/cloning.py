"""Cloning: models of the same architecture with layers and weights of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import tree
from engine.models.functional import Functional
from engine.models.sequential import Sequential
from engine.ops.operation import KerasTensor
from engine.registry import deserialize, serialize


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """A model of the same architecture with new layers and weights. A layer used several times is one there, too.

    Args:
        model: a sequential or functional model; another one must have `get_config`.
        input_tensors: placeholders to build the model upon, in the form of `model.input`; default: new inputs.
        clone_function: makes the new layer of each layer but inputs, and the new operation of each operation such as
            `x + y`; default: from its config.
        call_function: (layer, *args, **kwargs) -> outputs: what is done in place of calling a new layer; for
            functional models.
        recursive: whether inner models are cloned by this function, instead of by `clone_function`.

    Returns:
        A model of the same kind, compiled as `model` is.

    Raises:
        ValueError: arguments that the kind of model does not take, or inputs that do not fit.
    """
    copies: dict[int, Any] = {}

    def make(layer: Any) -> Any:
        if id(layer) not in copies:
            if recursive and isinstance(layer, (Sequential, Functional)):
                inner_call = call_function if isinstance(layer, Functional) else None
                copies[id(layer)] = clone_model(layer, None, clone_function, inner_call, recursive)
            elif clone_function is not None:
                copies[id(layer)] = clone_function(layer)
            else:
                copies[id(layer)] = type(layer).from_config(layer.get_config())
        return copies[id(layer)]

    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError("call_function is for functional models: a sequential one only lists its layers.")
        clone = _sequential(model, input_tensors, make)
    elif isinstance(model, Functional):
        if input_tensors is not None:
            _check_inputs(input_tensors, model.input)
        clone = model.cloned(make, input_tensors, call_function)
    else:
        if any(argument is not None for argument in (input_tensors, clone_function, call_function)):
            raise ValueError(
                "input_tensors, clone_function and call_function are for sequential and functional models. "
                f"Received: a {type(model).__name__}"
            )
        return deserialize(serialize(model), {type(model).__name__: type(model)})
    if model.compiled:
        clone.compile_from_config(model.get_compile_config())
    return clone


def _sequential(model: Sequential, input_tensors: Any, make: Callable[[Any], Any]) -> Any:
    layers = model.layers
    inputs = [type(item).from_config(item.get_config()) for item in model.input_layers]
    if input_tensors is not None:
        given = tree.flatten(input_tensors)
        if len(given) != 1 or not isinstance(given[0], KerasTensor):
            raise ValueError(f"input_tensors must be one placeholder. Received: {input_tensors!r}")
        inputs = given
    return type(model)([*inputs, *map(make, layers)], name=model.name, trainable=model.trainable)


def _check_inputs(given: Any, expected: Any) -> None:
    if not all(isinstance(leaf, KerasTensor) for leaf in tree.flatten(given)):
        raise ValueError(f"input_tensors must be placeholders. Received: {given!r}")
    try:
        tree.assert_same_structure(given, expected)
    except ValueError as error:
        raise ValueError(f"input_tensors must have the form of the model's input: {error}") from error
