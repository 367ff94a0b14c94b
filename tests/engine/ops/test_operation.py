"""Placeholders, operations and the record of their calls."""

from __future__ import annotations

import numpy as np
import pytest

from engine import ops
from engine.ops.operation import KerasTensor, Operation
from engine.registry import deserialize, serialize
from engine.tape import Tape
from engine.tensor import Tensor
from engine.variable import Variable


def test_operators_on_placeholders_record_the_ops_of_their_names() -> None:
    x = KerasTensor((None, 4))
    for result, name in (
        (x + 1, "Add"), (1 - x, "Subtract"), (x * x, "Multiply"), (x / 2, "TrueDivide"), (-x, "Negative"),
        (x @ np.ones((4, 3), "float32"), "Matmul"), (x[:, 1], "GetItem"), (x > 0, "Greater"), (2**x, "Power"),
    ):  # fmt: skip
        assert type(result.history.operation).__name__ == name
        assert result.shape[0] is None


def test_values_on_the_left_leave_the_work_to_placeholders() -> None:
    x = KerasTensor((None, 4))
    for left in (np.ones(4, np.float32), Tensor(np.ones(4, np.float32)), Variable(np.ones(4, np.float32)), 2.0):
        result = left - x
        assert isinstance(result, KerasTensor)
        assert result.shape == (None, 4)
        args, _ = result.history.operation.inbound_nodes[0].arguments
        assert args[0] is left


def test_a_node_knows_its_tensors_and_can_be_filled_in() -> None:
    a, b = KerasTensor((None, 2)), KerasTensor((None, 3))
    joined = ops.concatenate([a, b], axis=-1)
    doubled = joined * 2
    node = doubled.history.operation.inbound_nodes[0]
    parent = node.parent_nodes[0]
    assert parent.operation is joined.history.operation
    assert [id(tensor) for tensor in parent.input_tensors] == [id(a), id(b)]
    assert parent.operation.outbound_nodes == [node]
    args, kwargs = parent.fill_in({id(a): np.ones((1, 2)), id(b): np.zeros((1, 3))})
    np.testing.assert_array_equal(parent.operation(*args, **kwargs).numpy(), [[1, 1, 0, 0, 0]])


def test_free_dimensions_that_meet_known_ones_take_their_length() -> None:
    assert (KerasTensor((None, 4)) + np.ones((5, 4), np.float32)).shape == (5, 4)


def test_several_free_dimensions_stay_free_through_convolution_and_pooling() -> None:
    x = KerasTensor((None, None, None, 3))
    y = ops.conv(x, np.zeros((3, 3, 3, 8), np.float32), strides=2, padding="same")
    assert y.shape == (None, None, None, 8)
    assert ops.mean(y, axis=(1, 2)).shape == (None, 8)
    assert ops.reshape(y, (-1, 8)).shape == (None, 8)


def test_volumes_with_all_dimensions_free_are_inferred() -> None:
    assert ops.max_pool(KerasTensor((None, None, None, None, 64)), 2).shape == (None, None, None, None, 64)


@pytest.mark.parametrize(
    ("use", "what"),
    [(bool, "condition"), (float, "float"), (np.asarray, "NumPy"), (list, "Iteration"), (lambda x: x.numpy(), "numpy")],
)
def test_asking_a_placeholder_for_values_says_what_to_do(use: object, what: str) -> None:
    with pytest.raises(TypeError, match=f"{what}.*placeholder"):
        use(KerasTensor((None, 4)))  # type: ignore[operator]


def test_errors_of_symbolic_calls_name_the_operation() -> None:
    with pytest.raises(ValueError, match=r"Matmul 'matmul.*\(10080, 4\).*\(3, 2\)"):
        ops.matmul(KerasTensor((None, 4)), np.zeros((3, 2), np.float32))


def test_an_operation_of_the_users_own_keeps_its_plain_arguments_as_config() -> None:
    class Scale(Operation):
        def __init__(self, factor: float, shift: float = 0.0, name: str | None = None) -> None:
            super().__init__(name=name)
            self.factor, self.shift = factor, shift

        def call(self, x: object) -> object:
            return x * self.factor + self.shift  # type: ignore[operator]

    assert Scale(3.0, name="s").get_config() == {"name": "s", "factor": 3.0, "shift": 0.0}
    assert Scale(2.0)(KerasTensor((None, 3))).shape == (None, 3)
    with pytest.raises(ValueError, match="factor"):
        Scale(np.ones(2)).get_config()  # type: ignore[arg-type]


def test_operations_travel_through_configs() -> None:
    y = ops.mean(KerasTensor((None, 4)), axis=-1, keepdims=True)
    again = deserialize(serialize(y.history.operation))
    np.testing.assert_allclose(again(np.array([[1.0, 3.0]], np.float32)).numpy(), [[2.0]])


def test_settings_that_an_operation_does_not_have_are_refused() -> None:
    config = {"module": "keras.src.ops.numpy", "class_name": "Mean", "config": {"axes": 1}, "registered_name": "Mean"}
    with pytest.raises(TypeError, match=r"Mean takes the settings \['axis', 'keepdims'\]"):
        deserialize(config)


def test_gradients_pass_through_ops() -> None:
    x = Variable(np.array([[1.0, -2.0, 3.0]], np.float32))
    with Tape() as tape:
        loss = ops.sum(ops.relu(x) ** 2 + ops.stop_gradient(x))
    np.testing.assert_allclose(tape.gradient(loss, [x])[0].numpy(), [[2.0, 0.0, 6.0]])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: ops.mean(np.ones((2, 3)), axis=2), "Axis 2.*rank 2"),
        (lambda: ops.conv(np.ones((1, 5, 5, 3)), np.ones((3, 3, 2, 4))), "3 channels"),
        (lambda: ops.conv(np.ones((1, 5, 5, 3)), np.ones((3, 3, 3, 4)), padding="full"), "padding.*'full'"),
        (lambda: ops.conv(np.ones((1, 5, 5, 3)), np.ones((3, 3, 3, 4)), strides=(1, 2, 3)), "strides.*2 of them"),
        (lambda: ops.split(np.ones((4, 3)), 2, axis=1), "Axis 1.*2 equal parts"),
        (lambda: ops.stack([np.ones(2), np.ones(3)]), "one shape"),
        (lambda: ops.categorical_crossentropy(np.ones((2, 3)), np.ones((2, 4))), r"\(2, 3\) and \(2, 4\)"),
        (lambda: ops.sparse_categorical_crossentropy(np.ones(3, int), np.ones((2, 4))), r"\(2,\).*\(3,\)"),
        (lambda: ops.squeeze(np.ones((2, 1)), axis=0), "length 1"),
        (lambda: ops.broadcast_to(np.ones(3), (2, 4)), r"\(3,\).*\(2, 4\)"),
    ],
)
def test_wrong_arguments_are_named(function: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function()  # type: ignore[operator]
