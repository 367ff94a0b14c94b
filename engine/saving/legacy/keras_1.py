"""Configs of Keras 1 in the form of Keras 2: other names of layers and arguments, other regularizers and constraints.

Models whose images have their channels first ("th", Theano's ordering) are refused, and so are layers and modes that
Keras 2 dropped.
"""

from __future__ import annotations

from typing import Any

_CLASSES = {
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
}
_DROPPED_CLASSES = frozenset(
    {
        "EigenvalueRegularizer",
        "Highway",
        "LocallyConnected1D",
        "LocallyConnected2D",
        "MaxoutDense",
        "ParametricSoftplus",
        "SReLU",
    }
)
_MERGES = {
    "ave": "Average",
    "concat": "Concatenate",
    "cos": "Dot",
    "dot": "Dot",
    "max": "Maximum",
    "mul": "Multiply",
    "sum": "Add",
}
_ARGUMENTS = {
    "W_constraint": "kernel_constraint",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "atrous_rate": "dilation_rate",
    "b_constraint": "bias_constraint",
    "b_regularizer": "bias_regularizer",
    "beta_init": "beta_initializer",
    "bias": "use_bias",
    "border_mode": "padding",
    "dropout_U": "recurrent_dropout",
    "dropout_W": "dropout",
    "filter_length": "kernel_size",
    "gamma_init": "gamma_initializer",
    "init": "kernel_initializer",
    "inner_activation": "recurrent_activation",
    "inner_init": "recurrent_initializer",
    "nb_filter": "filters",
    "output_dim": "units",
    "p": "rate",
    "pool_length": "pool_size",
    "sigma": "stddev",
    "stride": "strides",
    "subsample": "strides",
    "subsample_length": "strides",
}
# Where a class calls an argument otherwise than the table above does.
_ARGUMENTS_OF: dict[str, dict[str, str]] = {
    "BatchNormalization": {},
    "Cropping1D": {},
    "Embedding": {
        "W_constraint": "embeddings_constraint",
        "W_regularizer": "embeddings_regularizer",
        "init": "embeddings_initializer",
        "output_dim": "output_dim",
    },
    "PReLU": {"init": "alpha_initializer"},
    "SeparableConv2D": {"init": "depthwise_initializer"},
    "UpSampling1D": {"length": "size"},
}
# Arguments that say nothing about what is computed here, or that are taken care of beside the tables.
_DROPPED = (
    *("consume_less", "forget_bias_init", "input_dim", "input_dtype", "input_length", "nb_col", "nb_row"),
    *("kernel_dim1", "kernel_dim2", "kernel_dim3", "mode", "dim_ordering"),
)
_DROPPED_OF: dict[str, tuple[str, ...]] = {
    "Conv2DTranspose": ("output_shape",),
    "Embedding": ("dropout", "activity_regularizer"),
}
_INITIALIZERS = {"normal": "random_normal", "one": "ones", "uniform": "random_uniform", "zero": "zeros"}
_KEPT_INPUT = ("Embedding",)
"""Classes whose `input_dim` is an argument of their own."""


def in_keras_2(config: Any) -> Any:
    """A config, with all that are in it, as Keras 2 would have written it.

    Raises:
        ValueError: Theano's ordering, or what Keras 2 no longer had.
    """
    if isinstance(config, list):
        return [in_keras_2(item) for item in config]
    if not isinstance(config, dict):
        return config
    if isinstance(config.get("class_name"), str) and isinstance(config.get("config"), (dict, list)):
        name, inner = config["class_name"], config["config"]
        if name == "Merge" and isinstance(inner, dict):
            name, inner = _merge(inner)
        elif isinstance(inner, dict) and "layers" not in inner:
            name, inner = _layer(name, inner)
        return {**config, "class_name": name, "config": in_keras_2(inner)}
    return {key: in_keras_2(value) for key, value in config.items()}


def _layer(name: str, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    label = config.get("name")
    if name in _DROPPED_CLASSES:
        raise ValueError(f"Layer {label!r} is a {name} of Keras 1, which Keras 2 dropped; it is not supported.")
    if config.get("dim_ordering") == "th":
        raise ValueError(
            f"Layer {label!r} has Theano's ordering of dimensions (dim_ordering='th': channels first); models of Keras "
            "1 are read with TensorFlow's ordering alone. Convert it with Keras 1 or 2 first."
        )
    if name == "BatchNormalization" and config.get("mode", 0) != 0:
        raise ValueError(
            f"Layer {label!r} is a BatchNormalization with mode={config['mode']}; mode 0 alone is supported."
        )
    if name == "Embedding" and config.get("dropout"):
        raise ValueError(f"Layer {label!r} is an Embedding with dropout={config['dropout']}, which is not supported.")
    name = _CLASSES.get(name, name)
    own = _ARGUMENTS_OF.get(name, {})
    given: dict[str, Any] = {}
    for key, value in config.items():
        if key not in (*_DROPPED, *_DROPPED_OF.get(name, ())) or (key == "input_dim" and name in _KEPT_INPUT):
            given[own.get(key, _ARGUMENTS.get(key, key))] = _value(key, value)
    sizes = [config[key] for key in ("nb_row", "nb_col", "kernel_dim1", "kernel_dim2", "kernel_dim3") if key in config]
    if sizes:
        given["kernel_size"] = sizes
    if "dim_ordering" in config:
        given["data_format"] = "channels_last"
    if name == "SeparableConv2D" and "depthwise_initializer" in given:
        given["pointwise_initializer"] = given["depthwise_initializer"]
    if name == "LSTM" and "forget_bias_init" in config:
        given["unit_forget_bias"] = config["forget_bias_init"] == "one"
    if name == "GRU":
        given.setdefault("reset_after", False)
    return name, _with_input(name, config, given)


def _with_input(name: str, config: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The shape of the input, where a first layer says it as Keras 1 allowed."""
    if "batch_input_shape" in given or name in (*_KEPT_INPUT, "InputLayer"):
        return given
    features = config.get("input_dim")
    if not isinstance(features, int):
        return given
    steps = [config.get("input_length")] if "input_length" in config else []
    return {**given, "batch_input_shape": [None, *steps, features]}


def _value(key: str, value: Any) -> Any:
    """An argument's value: strings of initializers, and the forms of regularizers and constraints."""
    if key == "init" or key.endswith("_init"):
        return _INITIALIZERS.get(value, value) if isinstance(value, str) else value
    if isinstance(value, dict) and isinstance(value.get("name"), str) and "class_name" not in value:
        name = value["name"]
        rest = {inner: item for inner, item in value.items() if inner != "name"}
        if key.endswith("_regularizer"):
            if not set(rest) <= {"l1", "l2"}:
                raise ValueError(f"The regularizer {name!r} of Keras 1 is not supported.")
            return {"class_name": "L1L2", "config": rest}
        if key.endswith("_constraint"):
            if "m" in rest:
                rest["max_value"] = rest.pop("m")
            rest = {{"low": "min_value", "high": "max_value"}.get(inner, inner): item for inner, item in rest.items()}
            return {"class_name": _CONSTRAINTS.get(name.lower(), name), "config": rest}
    return value


_CONSTRAINTS = {"maxnorm": "MaxNorm", "minmaxnorm": "MinMaxNorm", "nonneg": "NonNeg", "unitnorm": "UnitNorm"}


def _merge(config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The layer of a way of merging."""
    label, mode = config.get("name"), config.get("mode")
    if "layers" in config:
        raise ValueError(f"Layer {label!r} merges whole models at the beginning of a sequence: not supported.")
    if mode not in _MERGES or config.get("mode_type", "raw") != "raw":
        raise ValueError(f"Layer {label!r} merges its inputs by {mode!r}, which is not supported.")
    given: dict[str, Any] = {"name": label, "trainable": config.get("trainable", True)}
    if mode == "concat":
        given["axis"] = config.get("concat_axis", -1)
    elif mode in ("dot", "cos"):
        given |= {"axes": config.get("dot_axes", -1), "normalize": mode == "cos"}
    return _MERGES[mode], given
