"""Initializers, regularizers, constraints, activations and dtype policies."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from engine import activations, constraints, dtype_policies, initializers, random, regularizers
from engine.registry import deserialize, serialize
from tests.engine.keras_reference import as_json, keras

X = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)

INITIALIZERS = [
    ("Zeros", {}), ("Ones", {}), ("Constant", {"value": 2.0}), ("Identity", {}), ("RandomNormal", {"seed": 3}),
    ("TruncatedNormal", {"stddev": 1.0}), ("RandomUniform", {"minval": 0.0, "maxval": 2.0, "seed": 3}),
    ("VarianceScaling", {"scale": 2.0, "mode": "fan_out", "distribution": "uniform"}), ("GlorotUniform", {"seed": 1}),
    ("GlorotNormal", {}), ("HeUniform", {}), ("HeNormal", {}), ("LecunUniform", {}), ("LecunNormal", {}),
    ("Orthogonal", {"gain": 0.5}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), INITIALIZERS, ids=lambda item: str(item))
def test_initializers_have_kerass_configs_and_moments(name: str, options: dict[str, Any]) -> None:
    random.set_random_seed(2)
    keras.utils.set_random_seed(2)  # the largest of so many draws varies
    ours, theirs = getattr(initializers, name)(**options), getattr(keras.initializers, name)(**options)
    assert as_json(serialize(ours)) == as_json(keras.saving.serialize_keras_object(theirs))
    assert (
        inspect.signature(type(ours).__init__).parameters.keys()
        == inspect.signature(type(theirs).__init__).parameters.keys()
    )
    shape = (40, 40) if name in ("Identity", "Orthogonal") else (3, 3, 40, 60)
    received, expected = np.asarray(ours(shape)), np.asarray(theirs(shape))
    assert received.dtype == np.float32
    spread = max(float(expected.std()), 1e-6)
    assert abs(received.mean() - expected.mean()) < 0.1 * spread + 1e-6
    assert abs(received.std() - expected.std()) < 0.05 * spread
    assert abs(np.abs(received).max() - np.abs(expected).max()) < 0.6 * spread + 1e-6


def test_an_initializer_gives_the_same_values_each_time_and_by_seed() -> None:
    one = initializers.HeNormal(seed=7)
    np.testing.assert_array_equal(one((3, 4)).numpy(), one((3, 4)).numpy())
    np.testing.assert_array_equal(one((3, 4)).numpy(), deserialize(serialize(one))((3, 4)).numpy())
    assert not np.array_equal(initializers.HeNormal()((3, 4)).numpy(), initializers.HeNormal()((3, 4)).numpy())
    generator = initializers.HeNormal(seed=random.SeedGenerator(1))
    assert not np.array_equal(generator((3, 4)).numpy(), generator((3, 4)).numpy())


def test_a_seeded_program_initialises_the_same() -> None:
    random.set_random_seed(5)
    first = initializers.GlorotUniform()((3, 4)).numpy()
    random.set_random_seed(5)
    np.testing.assert_array_equal(initializers.GlorotUniform()((3, 4)).numpy(), first)


def test_orthogonal_rows_or_columns_are_orthonormal() -> None:
    wide, tall = (np.asarray(initializers.Orthogonal(seed=1)(shape)) for shape in ((3, 8), (2, 4, 3)))
    np.testing.assert_allclose(wide @ wide.T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(tall.reshape(8, 3).T @ tall.reshape(8, 3), np.eye(3), atol=1e-6)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        *(
            ("initializers", name)
            for name in ("he_normal", "glorot_uniform", "zeros", "ones", "HeUniform", "orthogonal")
        ),
        *(("regularizers", name) for name in ("l2", "L2", "L1L2")),
        *(("constraints", name) for name in ("max_norm", "non_neg", "unit_norm", "MinMaxNorm")),
    ],
)
def test_names_stand_for_what_keras_takes_them_for(module: str, name: str) -> None:
    ours = {"initializers": initializers, "regularizers": regularizers, "constraints": constraints}[module].get(name)
    theirs = getattr(keras, module).get(name)
    assert as_json(serialize(ours)) == as_json(keras.saving.serialize_keras_object(theirs))


@pytest.mark.parametrize(
    ("name", "options"),
    [("L1", {"l1": 0.1}), ("L2", {}), ("L1L2", {"l1": 0.1, "l2": 0.2}),
     ("OrthogonalRegularizer", {"mode": "columns"}), ("OrthogonalRegularizer", {"factor": 0.5})],
)  # fmt: skip
def test_regularizers_equal_keras(name: str, options: dict[str, Any]) -> None:
    ours, theirs = getattr(regularizers, name)(**options), getattr(keras.regularizers, name)(**options)
    ours_config, their_config = serialize(ours), keras.saving.serialize_keras_object(theirs)
    np.testing.assert_allclose(ours(X).numpy(), np.asarray(theirs(keras.ops.array(X))), rtol=1e-5)
    np.testing.assert_equal({**ours_config, "config": 0}, {**their_config, "config": 0})
    for key, value in ours_config["config"].items():
        assert value == pytest.approx(their_config["config"][key]) if isinstance(value, float) else value


@pytest.mark.parametrize(
    ("name", "options"),
    [("MaxNorm", {"max_value": 1.5}), ("MaxNorm", {"max_value": 1.0, "axis": [0, 1]}), ("NonNeg", {}),
     ("UnitNorm", {"axis": 1}), ("MinMaxNorm", {"min_value": 0.5, "max_value": 2.0, "rate": 0.5})],
)  # fmt: skip
def test_constraints_equal_keras(name: str, options: dict[str, Any]) -> None:
    ours, theirs = getattr(constraints, name)(**options), getattr(keras.constraints, name)(**options)
    np.testing.assert_allclose(ours(X).numpy(), np.asarray(theirs(X)), rtol=1e-5, atol=1e-6)
    assert as_json(serialize(ours)) == as_json(keras.saving.serialize_keras_object(theirs))


ACTIVATIONS = [
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu",
    "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink",
    "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "swish", "tanh", "tanh_shrink",
]  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_equal_keras_and_are_written_by_name(name: str) -> None:
    ours, theirs = activations.get(name), keras.activations.get(name)
    wide = X * 3
    expected = np.asarray(theirs(wide))
    received = ours(wide)
    np.testing.assert_allclose(np.asarray(received), expected, rtol=2e-5, atol=2e-6)
    assert activations.serialize(ours) == keras.activations.serialize(theirs)


def test_relus_options_equal_keras() -> None:
    for options in ({"negative_slope": 0.1}, {"max_value": 0.5}, {"threshold": 0.3, "negative_slope": 0.2}):
        expected = np.asarray(keras.activations.relu(X, **options))
        np.testing.assert_allclose(activations.relu(X, **options).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: initializers.get("nothing"),
        lambda: regularizers.get("nothing"),
        lambda: constraints.get("nothing"),
        lambda: activations.get("nothing"),
        lambda: initializers.get(5),
        lambda: dtype_policies.get("float12"),
    ],
)
def test_unknown_names_are_named(call: Any) -> None:
    with pytest.raises(ValueError, match=r"nothing|5|float12"):
        call()


def test_penalties_must_be_finite_and_not_negative() -> None:
    for wrong in (-1.0, float("nan"), "x"):
        with pytest.raises(ValueError, match="l2"):
            regularizers.L2(wrong)


def test_the_global_policy_reaches_new_layers_and_configs() -> None:
    from engine import layers

    assert dtype_policies.dtype_policy() is dtype_policies.get(None)
    dtype_policies.set_dtype_policy("mixed_bfloat16")
    try:
        assert layers.Dense(1).compute_dtype == "bfloat16"
        assert layers.Dense(1).get_config()["dtype"]["config"] == {"name": "mixed_bfloat16"}
    finally:
        dtype_policies.set_dtype_policy(None)
    assert layers.Dense(1).compute_dtype == "float32"
