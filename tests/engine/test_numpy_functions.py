"""NumPy's functions on tensors: operators are ours, other functions compute with the values, gradients are not lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import engine
from engine import Input, Model, Variable, layers, ops
from engine.ops.operation import KerasTensor
from engine.tensor import Tensor

X = np.array([[0.5, -1.0], [2.0, 0.25]], np.float32)


@pytest.mark.parametrize("value", [ops.convert_to_tensor(X), Variable(X)], ids=["tensor", "variable"])
def test_operators_give_tensors_whatever_stands_on_the_left(value: Any) -> None:
    for result, expected in (
        (X + value, X + X),
        (value - X, X - X),
        (X / value, X / X),
        (np.float32(2.0) * value, 2 * X),
        (value > X, X < X),
        (X @ value, X @ X),
    ):
        assert isinstance(result, Tensor)
        np.testing.assert_allclose(result, expected, rtol=1e-6)
    placeholder = Input((2,))
    assert isinstance(X * placeholder, KerasTensor)


def test_other_functions_compute_with_values() -> None:
    value = ops.convert_to_tensor(X)
    for function in (np.exp, np.abs, np.sum, np.max, np.isnan):
        np.testing.assert_array_equal(function(value), function(X))
    total = X.copy()
    total += value
    np.testing.assert_array_equal(total, 2 * X)


class Exponential(Model):
    """A model whose call goes through NumPy."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        return np.exp(self.dense(inputs))


def test_a_model_that_computes_with_numpy_predicts_but_says_why_it_cannot_be_trained() -> None:
    model = Exponential()
    np.testing.assert_allclose(model.predict(X, verbose=0), np.exp(np.asarray(model.dense(X))), rtol=1e-6)
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"np\.exp.*engine\.ops"):
        model.fit(X, X, verbose=0)


def test_values_that_nobody_differentiates_may_go_through_numpy() -> None:
    weight = Variable(np.float32(3.0))
    with engine.GradientTape() as tape:
        loss = weight * float(np.sum(ops.convert_to_tensor(X)))
    assert float(tape.gradient(loss, weight)) == pytest.approx(X.sum())


def test_a_variable_s_value_is_not_frozen_into_a_plan() -> None:
    class Counting(Model):
        def __init__(self) -> None:
            super().__init__()
            self.calls = self.add_weight((), "zeros", trainable=False, name="calls")

        def call(self, inputs: Any) -> Any:
            return inputs + self.calls.numpy()

    model = Counting()
    np.testing.assert_array_equal(model.predict(X, verbose=0), X)
    model.calls.assign(5.0)
    np.testing.assert_array_equal(model.predict(X, verbose=0), X + 5.0)
