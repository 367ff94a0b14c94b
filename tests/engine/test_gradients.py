"""GradientTape and grad: values against formulae, order upon order, what is watched and what is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import engine
from engine import Variable, layers, ops


def _tensor(*values: float) -> Any:
    return ops.convert_to_tensor(np.array(values, np.float32))


# The tape ------------------------------------------------------------------------------------------------------------


def test_variables_are_watched_as_they_are_read_unless_they_are_not_trained() -> None:
    trained, fixed = Variable(np.float32(3.0), name="a"), Variable(np.float32(2.0), trainable=False, name="b")
    with engine.GradientTape() as tape:
        value = trained * trained * fixed
    assert tape.watched_variables() == (trained,)
    gradients = tape.gradient(value, {"trained": trained, "fixed": [fixed]})
    assert float(gradients["trained"]) == 12.0
    assert gradients["fixed"] == [None]


def test_unconnected_sources_get_zeros_where_they_are_asked_for() -> None:
    used, unused = Variable(np.float32(3.0)), Variable(np.ones(2, np.float32))
    with engine.GradientTape() as tape:
        value = used * 2.0
    gradient = tape.gradient(value, [used, unused], unconnected_gradients="zero")
    assert float(gradient[0]) == 2.0
    np.testing.assert_array_equal(gradient[1], [0.0, 0.0])


def test_tensors_are_tracked_once_they_are_watched() -> None:
    a, b = _tensor(1.0, 2.0), _tensor(3.0, 4.0)
    with engine.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch([a])
        value = ops.sum(a * b)
    np.testing.assert_array_equal(tape.gradient(value, a), [3.0, 4.0])
    assert tape.gradient(value, b) is None


def test_a_variable_may_be_watched_that_is_not_trained() -> None:
    fixed = Variable(np.float32(2.0), trainable=False)
    with engine.GradientTape() as tape:
        tape.watch(fixed)
        value = fixed**3
    assert float(tape.gradient(value, fixed)) == 12.0


def test_several_targets_are_added_up_and_may_be_weighted() -> None:
    x = _tensor(1.0, 2.0)
    with engine.GradientTape(persistent=True) as tape:
        tape.watch(x)
        targets = {"square": x * x, "triple": 3.0 * x}
    np.testing.assert_array_equal(tape.gradient(targets, x), [5.0, 7.0])
    weights = {"square": [1.0, 0.0], "triple": [0.0, 2.0]}
    weights = {name: np.array(value, np.float32) for name, value in weights.items()}
    np.testing.assert_array_equal(tape.gradient(targets, x, output_gradients=weights), [2.0, 6.0])


def test_nothing_is_recorded_while_recording_is_stopped_or_before_a_reset() -> None:
    x = Variable(np.float32(2.0))
    with engine.GradientTape() as tape:
        value = x * x
        with tape.stop_recording():
            value = value * x
    assert tape.gradient(value, x) is None
    with engine.GradientTape() as tape:
        before = x * x
        tape.reset()
        after = 5.0 * x
    assert float(tape.gradient([before, after], x)) == 5.0


def test_a_tape_gives_gradients_once_unless_it_is_persistent() -> None:
    x = Variable(np.float32(2.0))
    with engine.GradientTape() as tape:
        value = x * x
    tape.gradient(value, x)
    with pytest.raises(RuntimeError, match="persistent"):
        tape.gradient(value, x)


def test_gradients_of_gradients() -> None:
    x = Variable(np.float32(2.0))
    with engine.GradientTape() as outer:
        with engine.GradientTape() as inner:
            value = x**4
        slope = inner.gradient(value, x)
    assert float(slope) == 32.0
    assert float(outer.gradient(slope, x)) == 48.0


def test_jacobians_hold_every_entry_s_derivative() -> None:
    matrix, x = np.arange(6, dtype=np.float32).reshape(3, 2), _tensor(1.0, -1.0)
    unused = _tensor(1.0)
    with engine.GradientTape() as tape:
        tape.watch([x, unused])
        value = ops.square(ops.matmul(matrix, x))
    found = tape.jacobian(value, [x, unused])
    np.testing.assert_allclose(found[0], 2.0 * (matrix @ x.numpy())[:, None] * matrix)
    assert found[1] is None


def test_a_tape_in_a_plan_gives_what_it_gives_outside() -> None:
    from engine.graph.compiled import CompiledFunction

    weight = Variable(np.array([[1.0], [2.0]], np.float32))

    def penalty(x: Any) -> Any:
        with engine.GradientTape() as outer:
            with engine.GradientTape() as inner:
                inner.watch(x)
                value = ops.tanh(ops.matmul(x, weight))
            norm = ops.sum(ops.square(inner.gradient(value, x)))
        return outer.gradient(norm, weight)

    x = np.array([[0.1, 0.2], [0.3, -0.4]], np.float32)
    planned = CompiledFunction(penalty, "penalty")
    np.testing.assert_allclose(planned(x), penalty(ops.convert_to_tensor(x)), rtol=1e-5)
    assert not planned.eager


@pytest.mark.parametrize(
    ("misuse", "error", "said"),
    [
        (lambda tape: tape.watch(np.ones(2)), TypeError, "convert_to_tensor"),
        (lambda tape: tape.gradient(_tensor(1.0), [3.0]), TypeError, "float"),
        (lambda tape: tape.gradient(_tensor(1.0), _tensor(1.0), unconnected_gradients="x"), ValueError, "'x'"),
        (lambda tape: tape.reset(), ValueError, "recording"),
    ],
)
def test_misuse_of_a_tape_is_named(misuse: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        misuse(engine.GradientTape())


# Functions -----------------------------------------------------------------------------------------------------------


def test_grad_differentiates_by_chosen_arguments_that_may_be_nests() -> None:
    def function(parameters: Any, x: Any, factor: float = 1.0) -> Any:
        return factor * ops.sum(x * parameters["w"] + parameters["b"])

    parameters = {"w": np.array([1.0, 2.0], np.float32), "b": np.float32(3.0)}
    x = np.array([5.0, 7.0], np.float32)
    found = engine.grad(function)(parameters, x)
    np.testing.assert_array_equal(found["w"], x)
    assert float(found["b"]) == 2.0
    both = engine.grad(function, argnums=(1, 0))(parameters, x, factor=2.0)
    np.testing.assert_array_equal(both[0], [2.0, 4.0])
    assert float(both[1]["b"]) == 4.0


def test_an_argument_given_twice_is_two_arguments() -> None:
    x = _tensor(2.0, 3.0)
    found = engine.grad(lambda a, b: ops.sum(a * a * b), argnums=(0, 1))(x, x)
    np.testing.assert_array_equal(found[0], [8.0, 18.0])
    np.testing.assert_array_equal(found[1], [4.0, 9.0])


def test_the_value_comes_with_the_gradient_and_with_what_is_beside_it() -> None:
    def function(x: Any) -> Any:
        return ops.sum(x**3), {"entries": x.shape[0]}

    (value, beside), gradient = engine.value_and_grad(function, has_aux=True)(_tensor(1.0, 2.0))
    assert float(value) == 9.0
    assert beside == {"entries": 2}
    np.testing.assert_allclose(gradient, [3.0, 12.0])
    gradient, beside = engine.grad(function, has_aux=True)(_tensor(1.0, 2.0))
    assert beside == {"entries": 2}


def test_grad_of_grad_is_the_second_derivative_and_so_on() -> None:
    def function(x: Any) -> Any:
        return ops.sin(x) * x

    third = engine.grad(engine.grad(engine.grad(function)))
    assert float(third(0.7)) == pytest.approx(-3.0 * np.sin(0.7) - 0.7 * np.cos(0.7), rel=1e-4)


def test_what_the_result_does_not_depend_on_gets_zeros() -> None:
    found = engine.grad(lambda a, b: ops.sum(a), argnums=1)(_tensor(1.0), _tensor(2.0, 3.0))
    np.testing.assert_array_equal(found, [0.0, 0.0])


def test_gradients_by_a_layer_s_inputs_leave_its_variables_alone() -> None:
    layer = layers.Dense(1, activation="tanh")
    x = np.array([[0.5, -0.25]], np.float32)
    gradient = engine.grad(lambda value: ops.sum(layer(value)))(x)
    kernel = layer.kernel.numpy()[:, 0]
    expected = (1.0 - np.tanh(x @ kernel) ** 2)[:, None] * kernel
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: engine.grad(lambda x: x)(_tensor(1.0, 2.0)), TypeError, r"\(2,\)"),
        (lambda: engine.grad(lambda x: x * 1.0)(3), TypeError, "int32"),
        (lambda: engine.grad(lambda x: x, argnums=1)(1.0), ValueError, "argnums=1"),
    ],
)
def test_misuse_of_grad_is_named(call: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call()
