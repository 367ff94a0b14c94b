"""Configs of Keras 2 (and those in Keras 3's own `.h5` files) in the form that Keras 3's archives have.

Keras 2 named classes without modules, gave the shape of the input to the first layer, and wrote arguments that are gone
or had other defaults. Only names and values change here: whether a class is known, the registry decides later.
"""

from __future__ import annotations

from typing import Any

from engine.saving.legacy.keras_1 import in_keras_2

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
    "CuDNNGRU": "GRU",
    "CuDNNLSTM": "LSTM",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "Policy": "DTypePolicy",
    "PolicyV1": "DTypePolicy",
    "SyncBatchNormalization": "BatchNormalization",
    "ThresholdedReLU": "ReLU",
    "UnifiedGRU": "GRU",
    "UnifiedLSTM": "LSTM",
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

# Classes that changed their arguments with their name, which files of Keras 2 alone are known to have.
_RENAMED_WITH_ARGUMENTS = ("ThresholdedReLU",)
_OF_KERNEL = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
_OF_RECURRENCE = ("implementation", "input_length", "input_dim")
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
    "InputLayer": ("ragged", "type_spec"),
    "LSTM": _OF_RECURRENCE,
    "LSTMCell": ("implementation",),
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape", "softmax_robust_masking"),
    "RNN": _OF_RECURRENCE,
    "SeparableConv1D": (*_OF_KERNEL, "groups"),
    "SeparableConv2D": (*_OF_KERNEL, "groups"),
    "SimpleRNN": _OF_RECURRENCE,
}
_DROPPED_FROM_LAYERS = ("batch_input_shape", "force_generator", "rng_type", "time_major")
_RENAMED: dict[str, dict[str, str]] = {
    "InputLayer": {"batch_input_shape": "batch_shape"},
    "LeakyReLU": {"alpha": "negative_slope"},
    "ReLU": {"theta": "threshold"},  # of ThresholdedReLU
}
# What an argument was where a file of that time does not mention it.
_FORMER_DEFAULTS: dict[str, dict[str, Any]] = {"GRU": {"reset_after": False}, "GRUCell": {"reset_after": False}}
# What the classes written for cuDNN computed, as arguments of those that took their place.
_OF_CUDNN: dict[str, dict[str, Any]] = {
    "CuDNNGRU": {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True},
    "CuDNNLSTM": {"activation": "tanh", "recurrent_activation": "sigmoid"},
}
# Values under which a layer of Keras 2 did what none does here, by argument, and what it then did.
_REFUSED: dict[str, tuple[Any, str]] = {
    "ragged": (True, "takes ragged tensors"),
    "time_major": (True, "takes time as the first dimension"),
}
_RECURRENT = ("Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN")
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
        ValueError: what the config asks for is no more to be had.
    """
    if version < (2, 0):
        config = in_keras_2(config)
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
    former_name, inner = config["class_name"], config["config"]
    if former_name.startswith("__") or not isinstance(inner, (dict, list)):
        return config
    package, _, name = former_name.rpartition(">") if former else ("", "", former_name)
    if package and package != "Custom":
        config = {"registered_name": former_name, **config}  # a class of the user's
    inner = {**_OF_CUDNN[name], **inner} if former and name in _OF_CUDNN and isinstance(inner, dict) else inner
    name = _RENAMED_CLASSES.get(name, name) if former or name not in _RENAMED_WITH_ARGUMENTS else name
    module = config.get("module") or _MODELS.get(name) or _MODULES.get(argument) or _MODULES.get(_last_word(argument))
    if name == "Sequential":
        inner = _with_input(inner)
    # The calls of Keras 2's layers build them; what they say of how they were built is less than some of ours ask for.
    said = ("class_name", "config", "build_config") if former and name not in _MODELS else ("class_name", "config")
    rest = {key: value for key, value in config.items() if key not in said}
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
    for key, (refused, meaning) in _REFUSED.items():
        if module == "keras.layers" and config.get(key) is refused:
            raise ValueError(f"Layer {config.get('name')!r} {meaning} ({key}={refused}), which is not supported.")
    if name == "Lambda" and not isinstance(config.get("function"), (str, dict)):
        raise ValueError(
            f"Layer {config.get('name')!r} is a Lambda that holds Python code. Code is never taken from files; nothing "
            "was run. Save the model with a function that has a name, and register it here."
        )
    config = {_RENAMED.get(name, {}).get(key, key): value for key, value in config.items()}
    dropped = _DROPPED.get(name, ())
    if module == "keras.layers":
        dropped = (*dropped, *_DROPPED_FROM_LAYERS)
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
        {**entry, "inbound_nodes": _with_states(entry, renumbered(entry["inbound_nodes"], models))}
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


def _with_states(entry: dict[str, Any], nodes: Any) -> Any:
    """The calls of a layer; of a recurrent one that was given its first state in a list with the input, by name."""
    if entry.get("class_name") not in _RECURRENT or not isinstance(nodes, list):
        return nodes

    def named(node: Any) -> Any:
        if not isinstance(node, list) or len(node) < 2 or not all(isinstance(item, list) for item in node):
            return node
        first, *states = node
        given = first[3] if len(first) > 3 and isinstance(first[3], dict) else {}
        return [[*first[:3], {**given, "initial_state": [state[:3] for state in states]}]]

    return [named(node) for node in nodes]


def _last_word(argument: str) -> str:
    return argument.rsplit("_", 1)[-1]
