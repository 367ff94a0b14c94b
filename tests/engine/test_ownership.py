"""Who owns memory: no tensor changes when a variable, or an array it was made of, is written to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine import ops
from engine.tape import Tape
from engine.variable import Variable

UNCHANGED: dict[str, Callable[[Any], Any]] = {
    "convert_to_tensor": ops.convert_to_tensor,
    "convert_to_tensor with dtype": lambda x: ops.convert_to_tensor(x, "float32"),
    "copy": ops.copy,
    "cast": lambda x: ops.cast(x, "float32"),
    "stop_gradient": ops.stop_gradient,
    "transpose": ops.transpose,
    "reshape": lambda x: ops.reshape(x, (-1,)),
    "squeeze": ops.squeeze,
    "expand_dims": lambda x: ops.expand_dims(x, 0),
    "broadcast_to": lambda x: ops.broadcast_to(x, (2, 2, 3)),
    "split": lambda x: ops.split(x, 3, axis=1)[0],
    "view of a view": lambda x: ops.reshape(ops.expand_dims(x, 0), (-1,)),
}


@pytest.mark.parametrize("make", UNCHANGED.values(), ids=UNCHANGED)
def test_an_assignment_leaves_what_was_made_of_a_variable_alone(make: Callable[[Any], Any]) -> None:
    variable = Variable(np.ones((2, 3), np.float32))
    made = make(variable)
    variable.assign(np.zeros((2, 3), np.float32))
    assert np.all(made.numpy() == 1)


@pytest.mark.parametrize("make", UNCHANGED.values(), ids=UNCHANGED)
def test_writing_to_an_array_leaves_what_was_made_of_it_alone(make: Callable[[Any], Any]) -> None:
    array = np.ones((2, 3), np.float32)
    made = make(array)
    array[...] = 0
    assert np.all(made.numpy() == 1)


def test_a_view_of_a_variables_value_under_a_tape_outlives_assignments() -> None:
    variable = Variable(np.ones((2, 3), np.float32))
    with Tape():
        made = ops.reshape(variable.value, (-1,))
    variable.assign(np.zeros((2, 3), np.float32))
    assert np.all(made.numpy() == 1)


def test_gradients_reach_a_variable_through_what_owns_its_memory() -> None:
    variable = Variable(np.full(2, 3.0, np.float32))
    with Tape() as tape:
        loss = ops.sum(ops.square(ops.convert_to_tensor(variable)))
    np.testing.assert_array_equal(tape.gradient(loss, [variable])[0].numpy(), [6, 6])


def test_gradients_are_of_the_value_that_was_read_whatever_is_assigned_before_they_are_asked_for() -> None:
    variable = Variable(np.ones(3, np.float32))
    with Tape() as tape:
        squared = variable * variable
    variable.assign(np.full(3, 5, np.float32))
    np.testing.assert_array_equal(tape.gradient(squared, [variable])[0].numpy(), [2, 2, 2])
    np.testing.assert_array_equal(variable.numpy(), [5, 5, 5])
