"""Configs of Keras 2 (and those in Keras 3's own `.h5` files) in the form that Keras 3's archives have.

Keras 2 named classes without modules, gave the shape of the input to the first layer, and wrote arguments that are gone
or had other defaults. Only names and values change here: whether a class is known, the registry decides later.
"""

from __future__ import annotations

from typing import Any

_MODELS = {"Sequential": "keras", "Functional": "keras.src.models.functional", "Model": "keras.src.models.functional"}

# Where an argument's object is defined, by the argument's name or its last word.
_MODULES = {
    "cell": "keras.layers",
    "cells": "keras.layers",
    "constraint": "keras.constraints",
    "dtype": "keras",
    "initializer": "keras.initializers",
    "layer": "keras.layers",
    "layers": "keras.layers",
    "learning_rate": "keras.optimizers.schedules",
    "loss": "keras.losses",
    "metrics": "keras.metrics",
    "optimizer": "keras.optimizers",
    "regularizer": "keras.regularizers",
}

_RENAMED_CLASSES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "Policy": "DTypePolicy",
    **{
        f"{name}{version}": name
        for name in (
            "Constant",
            "GlorotNormal",
            "GlorotUniform",
            "HeNormal",
            "HeUniform",
            "Identity",
            "LecunNormal",
            "LecunUniform",
            "Ones",
            "Orthogonal",
            "RandomNormal",
            "RandomUniform",
            "TruncatedNormal",
            "VarianceScaling",
            "Zeros",
        )
        for version in ("V1", "V2")
    },
}

_OF_KERNEL = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
_OF_RECURRENCE = ("implementation", "time_major", "input_length", "input_dim")
# Arguments that Keras 2 wrote and Keras 3 knows no more; none of them changes what is computed.
_DROPPED: dict[str, tuple[str, ...]] = {
    "BatchNormalization": ("fused", "virtual_batch_size", "adjustment"),
    "Conv1DTranspose": ("groups",),
    "Conv2DTranspose": ("groups",),
    "Conv3DTranspose": ("groups",),
    "DepthwiseConv1D": (*_OF_KERNEL, "groups", "filters"),
    "DepthwiseConv2D": (*_OF_KERNEL, "groups", "filters"),
    "Embedding": ("input_length",),
    "GRU": _OF_RECURRENCE,
    "GRUCell": ("implementation",),
    "InputLayer": ("type_spec",),
    "LSTM": _OF_RECURRENCE,
    "LSTMCell": ("implementation",),
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape"),
    "RNN": _OF_RECURRENCE,
    "SeparableConv1D": (*_OF_KERNEL, "groups"),
    "SeparableConv2D": (*_OF_KERNEL, "groups"),
    "SimpleRNN": _OF_RECURRENCE,
}
_RENAMED: dict[str, dict[str, str]] = {
    "InputLayer": {"batch_input_shape": "batch_shape"},
    "LeakyReLU": {"alpha": "negative_slope"},
}
# What an argument was where a file of that time does not mention it.
_FORMER_DEFAULTS: dict[str, dict[str, Any]] = {"GRU": {"reset_after": False}, "GRUCell": {"reset_after": False}}
_FORMER_HARD_SIGMOID = {
    "module": "builtins",
    "class_name": "function",
    "config": "former_hard_sigmoid",
    "registered_name": "function",
}
# Values that mean something else today, by the last word of the argument's name.
_FORMER_VALUES: dict[str, dict[Any, Any]] = {
    "activation": {"hard_sigmoid": _FORMER_HARD_SIGMOID},
    "distribution": {"normal": "truncated_normal"},
}


def modernised(config: Any, version: tuple[int, int], argument: str = "") -> Any:
    """A config, with all that are in it, in Keras 3's form.

    Args:
        config: of a model or of any object, or a nest of such.
        version: of the Keras that wrote it; from (3, 0) on only modules and tuples are put right.
        argument: the name of what the config is given for ("loss"), which tells the module of an object without one.

    Raises:
        ValueError: of Keras 1, whose layers and arguments were others.
    """
    if version < (2, 0):
        raise ValueError(
            "The file is from Keras 1 (or does not say from which version it is); models are read from Keras 2 on."
        )
    return _value(config, argument, version < (3, 0))


def _value(value: Any, argument: str, former: bool) -> Any:
    if isinstance(value, list):
        return [_value(item, argument, former) for item in value]
    if isinstance(value, dict):
        if isinstance(value.get("class_name"), str) and ("config" in value or "items" in value):
            return _object(value, argument, former)
        return {key: _value(item, key, former) for key, item in value.items()}
    if former and isinstance(value, str):
        return _FORMER_VALUES.get(_last_word(argument), {}).get(value, value)
    return value


def _object(config: dict[str, Any], argument: str, former: bool) -> Any:
    if "items" in config:  # a tuple or a shape
        return _value(config["items"], argument, former)
    name, inner = config["class_name"], config["config"]
    if name.startswith("__") or not isinstance(inner, (dict, list)):
        return config
    name = _RENAMED_CLASSES.get(name, name)
    module = config.get("module") or _MODELS.get(name) or _MODULES.get(argument) or _MODULES.get(_last_word(argument))
    if name == "Sequential":
        inner = _with_input(inner)
    rest = {key: value for key, value in config.items() if key not in ("class_name", "config")}
    inner = _value(inner, "", former)
    if former and {"layers", "output_layers"} <= set(inner):
        inner = _renumbered(inner)
    elif former:
        inner = _arguments(name, module, inner)
    return {"registered_name": None, **_value(rest, "", former), "module": module, "class_name": name, "config": inner}


def _with_input(config: Any) -> Any:
    """A sequence's config as a dictionary, with an `InputLayer` where the first layer had the shape of the input."""
    config = {"layers": config} if isinstance(config, list) else config
    entries = config.get("layers")
    first = entries[0] if isinstance(entries, list) and entries else None
    if not isinstance(first, dict) or first.get("class_name") == "InputLayer":
        return config
    inner = first.get("config")
    if not isinstance(inner, dict) or "batch_input_shape" not in inner:
        return config
    placeholder = {"batch_shape": inner["batch_input_shape"], "name": f"{inner.get('name', 'layer')}_input"}
    return {**config, "layers": [{"class_name": "InputLayer", "config": placeholder}, *entries]}


def _arguments(name: str, module: str | None, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an object of Keras 2, as its class takes them today."""
    config = {_RENAMED.get(name, {}).get(key, key): value for key, value in config.items()}
    dropped = _DROPPED.get(name, ())
    if module == "keras.layers":
        dropped = (*dropped, "batch_input_shape")
    elif module == "keras.initializers":
        dropped = (*dropped, "dtype")
    return {**_FORMER_DEFAULTS.get(name, {}), **{key: value for key, value in config.items() if key not in dropped}}


def _renumbered(config: dict[str, Any]) -> dict[str, Any]:
    """A functional model in which calls of nested models are counted from 0: Keras 2 counted one of their own."""
    models = {
        entry.get("name"): entry.get("class_name") == "Sequential"
        for entry in config["layers"]
        if isinstance(entry, dict) and isinstance(entry.get("config"), dict) and "layers" in entry["config"]
    }

    def renumbered(item: Any, among: Any) -> Any:
        if isinstance(item, dict):
            return {key: renumbered(value, among) for key, value in item.items()}
        if not isinstance(item, list):
            return item
        if len(item) >= 3 and isinstance(item[0], str) and item[0] in among and isinstance(item[1], int):
            return [item[0], max(item[1] - 1, 0), item[2], *(renumbered(value, among) for value in item[3:])]
        return [renumbered(value, among) for value in item]

    layers = [
        {**entry, "inbound_nodes": renumbered(entry["inbound_nodes"], models)}
        if isinstance(entry, dict) and "inbound_nodes" in entry
        else entry
        for entry in config["layers"]
    ]
    # At the ends Keras 3 counts that call too, of functional models alone.
    sequences = {name for name, is_sequence in models.items() if is_sequence}
    ends: dict[str, Any] = {
        key: renumbered(config[key], sequences) for key in ("input_layers", "output_layers") if key in config
    }
    return {**config, "layers": layers, **ends}


def _last_word(argument: str) -> str:
    return argument.rsplit("_", 1)[-1]
