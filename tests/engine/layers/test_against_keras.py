"""Every layer gives what Keras's gives, has its configs and its shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine import layers
from engine.registry import deserialize, serialize
from tests.engine.keras_reference import as_json, keras
from tests.engine.layers.cases import CASES, Case


def _pair(case: Case) -> tuple[Any, Any]:
    """Keras's layer and ours, built, with the same random weights."""
    shapes = list(case.shapes) if len(case.shapes) > 1 else case.shapes[0]
    theirs = getattr(keras.layers, case.layer)(**case.options, name="tested")
    ours = getattr(layers, case.layer)(**case.options, name="tested")
    for layer in (theirs, ours):
        if not layer.built:
            layer.build(shapes)
    rng = np.random.default_rng(5)
    weights = [rng.uniform(0.2, 1.0, weight.shape).astype(np.float32) for weight in theirs.weights]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def test_outputs_equal_keras(case: Case) -> None:
    theirs, ours = _pair(case)
    expected = np.asarray(theirs(case.inputs(1)))
    received = ours(case.inputs(1)).numpy()
    assert received.dtype == expected.dtype
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-5)


def test_configs_and_variables_equal_keras(case: Case) -> None:
    theirs, ours = _pair(case)
    assert as_json(serialize(ours)) == as_json(keras.saving.serialize_keras_object(theirs))
    assert [(v.name, v.path, v.shape) for v in ours.weights] == [(v.name, v.path, v.shape) for v in theirs.weights]
    assert [v.trainable for v in ours.weights] == [v.trainable for v in theirs.weights]
    assert ours.count_params() == theirs.count_params()


def test_a_config_from_keras_builds_an_equal_layer(case: Case) -> None:
    theirs, ours = _pair(case)
    config = as_json(keras.saving.serialize_keras_object(theirs))
    again = deserialize(config)
    assert type(again) is type(ours)
    assert again.built
    again.set_weights(ours.get_weights())
    np.testing.assert_array_equal(again(case.inputs(1)).numpy(), ours(case.inputs(1)).numpy())


def test_symbolic_shapes_equal_keras(case: Case) -> None:
    options = {"batch_size": None}
    theirs = getattr(keras.layers, case.layer)(**case.options)
    ours = getattr(layers, case.layer)(**case.options)
    their_inputs = [keras.Input(shape[1:], **options) for shape in case.shapes]
    our_inputs = [layers.Input(shape[1:], **options) for shape in case.shapes]
    expected = theirs(their_inputs if len(their_inputs) > 1 else their_inputs[0])
    received = ours(our_inputs if len(our_inputs) > 1 else our_inputs[0])
    assert received.shape == expected.shape
    assert received.dtype == expected.dtype
    assert as_json(ours.get_build_config()) == as_json(theirs.get_build_config())


@pytest.mark.parametrize(
    "layer",
    [
        *("Dense", "Conv2D", "SeparableConv2D", "Conv2DTranspose"),
        *("BatchNormalization", "MaxPooling2D", "Dropout", "Concatenate"),
    ],
)
def test_constructors_take_what_keras_takes(layer: str) -> None:
    import inspect

    theirs = inspect.signature(getattr(keras.layers, layer).__init__).parameters
    ours = inspect.signature(getattr(layers, layer).__init__).parameters
    assert list(ours) == list(theirs)
    defaults = {name: parameter.default for name, parameter in ours.items()}
    for name, parameter in theirs.items():
        if name not in ("strides", "dilation_rate", "pool_size"):  # 1 and (1, 1) mean the same
            assert defaults[name] == parameter.default, name


def test_conv3d_transpose_takes_the_data_format_before_the_output_padding() -> None:
    given = (3, 2, 2, "same", "channels_first", 1, 1, "relu", False)
    theirs, ours = keras.layers.Conv3DTranspose(*given, name="a"), layers.Conv3DTranspose(*given, name="a")
    assert as_json(serialize(ours)) == as_json(keras.saving.serialize_keras_object(theirs))


def _statistics(case: Case) -> tuple[Any, Any]:
    theirs, ours = _pair(case)
    expected = np.asarray(theirs(case.inputs(1), training=True))
    received = ours(case.inputs(1), training=True).numpy()
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)
    return theirs, ours


@pytest.mark.parametrize("case", [case for case in CASES if case.layer == "BatchNormalization"], ids=lambda c: c.name)
def test_batch_normalization_trains_and_moves_its_statistics_as_keras(case: Case) -> None:
    theirs, ours = _statistics(case)
    for expected, received in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


def test_frozen_batch_normalization_uses_its_moving_statistics() -> None:
    layer = layers.BatchNormalization()
    x = np.random.default_rng(0).normal(3.0, 2.0, (16, 4)).astype(np.float32)
    layer(x)
    layer.trainable = False
    np.testing.assert_allclose(layer(x, training=True).numpy(), x / np.sqrt(1 + 1e-3), rtol=1e-5)
    assert not layer.moving_mean.numpy().any()


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.layer in ("Dense", "Conv2D", "BatchNormalization", "Dropout", "MaxPooling2D")][::3],
    ids=lambda c: c.name,
)
def test_policies_give_keras_dtypes(case: Case, policy: str) -> None:
    ours = getattr(layers, case.layer)(**case.options, dtype=policy)
    outputs = ours(case.inputs())
    theirs = keras.DTypePolicy(policy)
    assert outputs.dtype.name == theirs.compute_dtype
    assert all(weight.dtype.name == theirs.variable_dtype for weight in ours.weights)
    reference = getattr(layers, case.layer)(**case.options)
    reference(case.inputs())
    ours.set_weights([weight.astype(v.dtype) for weight, v in zip(reference.get_weights(), ours.weights, strict=True)])
    tolerance = {"float64": 1e-5, "float16": 2e-2, "mixed_float16": 2e-2}.get(policy, 1e-1)
    np.testing.assert_allclose(
        ours(case.inputs(1)).numpy().astype(np.float32),
        reference(case.inputs(1)).numpy(),
        rtol=tolerance,
        atol=tolerance,
    )


STEPS = {
    "masked": ({}, True),
    "renormalised": ({"renorm": True, "scale": False}, False),
    "renormalised within limits, masked": (
        {"renorm": True, "renorm_clipping": {"rmin": 0.8, "rmax": 1.1, "dmax": 0.2}, "renorm_momentum": 0.8},
        True,
    ),
}


@pytest.mark.parametrize(("options", "masked"), STEPS.values(), ids=STEPS)
def test_batch_normalization_heeds_masks_and_renormalises_as_keras(options: dict[str, Any], masked: bool) -> None:
    theirs, ours = (library.BatchNormalization(**options, name="tested") for library in (keras.layers, layers))
    rng = np.random.default_rng(0)
    for _ in range(3):
        inputs = rng.normal(2.0, 3.0, (4, 5, 3)).astype(np.float32)
        mask = rng.uniform(size=(4, 5)) > 0.4 if masked else None
        expected, received = (layer(inputs, training=True, mask=mask) for layer in (theirs, ours))
        np.testing.assert_allclose(received, np.asarray(expected), rtol=1e-4, atol=1e-5)
    for expected, received in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)
    assert [v.name for v in ours.weights] == [v.name for v in theirs.weights]
    assert as_json(serialize(ours)) == as_json(keras.saving.serialize_keras_object(theirs))


def test_spectral_normalization_steps_as_keras() -> None:
    theirs, ours = (
        library.SpectralNormalization(library.Dense(3, name="inner"), power_iterations=2, name="tested")
        for library in (keras.layers, layers)
    )
    inputs = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    np.asarray(theirs(inputs)), ours(inputs)
    ours.set_weights(theirs.get_weights())
    for _ in range(10):
        expected, received = (layer(inputs, training=True) for layer in (theirs, ours))
        np.testing.assert_allclose(received, np.asarray(expected), rtol=1e-4, atol=1e-5)
    assert np.linalg.svd(ours.layer.kernel.numpy())[1].max() == pytest.approx(1.0, abs=1e-3)
    assert as_json(serialize(ours)) == as_json(keras.saving.serialize_keras_object(theirs))
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]


def test_alpha_dropout_keeps_mean_and_deviation() -> None:
    inputs = np.random.default_rng(0).normal(size=(300, 400)).astype(np.float32)
    outputs = layers.AlphaDropout(0.3, seed=1)(inputs, training=True).numpy()
    assert outputs.mean() == pytest.approx(0.0, abs=0.01)
    assert outputs.std() == pytest.approx(1.0, abs=0.01)
    values, counts = np.unique(outputs, return_counts=True)
    dropped = outputs == values[counts.argmax()]
    assert dropped.mean() == pytest.approx(0.3, abs=0.01)
    rows = layers.AlphaDropout(0.5, noise_shape=(None, 1), seed=1)(inputs, training=True).numpy()
    assert set((rows == rows[:, :1]).mean(axis=1) > 0.99) == {False, True}
