"""What Keras 2 wrote of layers and their arguments, as the layers of today take it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.registry import deserialize
from engine.saving.legacy import modernised

KERAS_2 = (2, 4)
_KERNEL = {"kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}}, "kernel_regularizer": None}
_WINDOW = {"kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "dilation_rate": [1, 1]}


def _layer(kind: str, version: tuple[int, int] = KERAS_2, **config: Any) -> Any:
    entry = {"class_name": kind, "config": {"name": "a", "trainable": True, "dtype": "float32", **config}}
    return deserialize(modernised(entry, version, "layer"))


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("BatchNormalization", {"axis": [3], "fused": True}, {"axis": 3}),
        ("BatchNormalizationV1", {"axis": [-1], "virtual_batch_size": None}, {"axis": -1}),
        ("Conv2D", {"filters": 2, **_WINDOW, **_KERNEL, "groups": 1}, {"filters": 2, "kernel_size": (3, 3)}),
        ("Conv2DTranspose", {"filters": 2, **_WINDOW, **_KERNEL, "groups": 1, "output_padding": None}, {"filters": 2}),
        ("Dense", {"units": 3, "batch_input_shape": [None, 4], **_KERNEL}, {"units": 3}),
        ("DepthwiseConv2D", {**_WINDOW, **_KERNEL, "groups": 1, "depth_multiplier": 2}, {"depth_multiplier": 2}),
        ("Embedding", {"input_dim": 5, "output_dim": 2, "input_length": 7}, {"input_dim": 5, "output_dim": 2}),
        ("GRU", {"units": 3, "implementation": 1}, {"reset_after": False}),
        ("GRU", {"units": 3, "reset_after": True, "time_major": False}, {"reset_after": True}),
        ("LSTM", {"units": 3, "implementation": 2, "time_major": False, "activation": "tanh"}, {"units": 3}),
        ("LeakyReLU", {"alpha": 0.25}, {"negative_slope": 0.25}),
        ("SeparableConv2D", {"filters": 2, **_WINDOW, **_KERNEL, "groups": 1}, {"filters": 2}),
    ],
)
def test_arguments_that_are_gone_or_renamed_are_taken_care_of(
    kind: str, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    config = _layer(kind, **given).get_config()
    assert {name: config[name] for name in expected} == expected


def test_a_gru_of_keras_3_keeps_its_default() -> None:
    assert _layer("GRU", (3, 0), units=3).get_config()["reset_after"] is True


def test_layers_inside_of_layers_are_modernised_too() -> None:
    inner = {"class_name": "GRU", "config": {"name": "gru", "units": 3, "implementation": 1}}
    layer = _layer("Bidirectional", merge_mode="concat", layer=inner)
    assert layer.forward_layer.get_config()["reset_after"] is False


@pytest.mark.parametrize("name", ["VarianceScaling", "VarianceScalingV2"])
def test_initializers_lose_their_dtype_and_find_their_distribution(name: str) -> None:
    config = {"scale": 2.0, "mode": "fan_in", "distribution": "normal", "seed": None, "dtype": "float32"}
    layer = _layer("Dense", units=2, kernel_initializer={"class_name": name, "config": config})
    assert layer.kernel_initializer.get_config()["distribution"] == "truncated_normal"


def test_the_hard_sigmoid_is_that_of_its_time_and_today_the_present_one() -> None:
    old, new = (_layer("Activation", version, activation="hard_sigmoid") for version in (KERAS_2, (3, 0)))
    assert float(old.activation(1.0)) == pytest.approx(0.7)
    assert float(new.activation(1.0)) == pytest.approx(1 / 6 + 0.5)
    assert float(deserialize(_saved(old)).activation(1.0)) == pytest.approx(0.7)


def _saved(layer: Any) -> Any:
    from engine.registry import serialize

    return serialize(layer)


def test_precision_policies_of_keras_2_are_understood() -> None:
    layer = _layer("Dense", units=2, dtype={"class_name": "Policy", "config": {"name": "mixed_bfloat16"}})
    assert (layer.compute_dtype, layer.variable_dtype) == ("bfloat16", "float32")


def test_tuples_and_shapes_are_lists() -> None:
    tupled = {"class_name": "__tuple__", "items": [2, {"class_name": "TensorShape", "items": [None, 3]}]}
    assert modernised({"a": tupled}, (3, 0)) == {"a": [2, [None, 3]]}


def test_arguments_of_keras_1_become_those_of_today() -> None:
    given = {"nb_filter": 3, "nb_row": 2, "nb_col": 5, "subsample": [2, 1], "border_mode": "same", "init": "uniform"}
    rest = {"W_regularizer": {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.5}, "bias": False, "dim_ordering": "tf"}
    constraint = {"W_constraint": {"name": "MaxNorm", "m": 2, "axis": 0}}
    layer = _layer("Convolution2D", (1, 2), **given, **rest, **constraint)
    assert (layer.filters, layer.kernel_size, layer.strides, layer.padding) == (3, (2, 5), (2, 1), "same")
    assert layer.use_bias is False
    assert layer.kernel_regularizer.get_config()["l2"] == 0.5
    assert layer.kernel_constraint.get_config()["max_value"] == 2
    assert type(layer.kernel_initializer).__name__ == "RandomUniform"
