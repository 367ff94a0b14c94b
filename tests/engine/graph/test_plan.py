"""Plans: what runs from bound memory equals what runs eagerly, whatever shares storage with whatever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph.compiled import CompiledFunction
from engine.graph.memory import Lifetime, layout
from engine.primitives.casting import copy
from engine.primitives.elementwise import add, exp, maximum, multiply, negative, tanh
from engine.primitives.shaping import broadcast_to, concatenate, getitem, reduce_sum, reshape, transpose
from engine.primitives.update import CHUNK, sgd_update
from engine.tape import Tape
from engine.tensor import Tensor
from engine.variable import Variable

lifetimes = st.builds(
    lambda size, first, length: Lifetime(size, first, first + length),
    st.integers(0, 5000),
    st.integers(0, 30),
    st.integers(0, 12),
)


@given(st.lists(lifetimes, max_size=40))
@settings(max_examples=200, deadline=None)
def test_buffers_that_live_together_never_share_a_byte(buffers: list[Lifetime]) -> None:
    offsets, total = layout(buffers)
    for i, a in enumerate(buffers):
        assert offsets[i] % 64 == 0
        assert offsets[i] + a.nbytes <= total
        for j, b in enumerate(buffers[:i]):
            together = a.first <= b.last and b.first <= a.last
            apart = offsets[i] + a.nbytes <= offsets[j] or offsets[j] + b.nbytes <= offsets[i]
            assert apart or not together or not a.nbytes or not b.nbytes


def test_buffers_one_after_the_other_lie_in_the_same_bytes() -> None:
    _, total = layout([Lifetime(1000, step, step) for step in range(50)])
    assert total == 1024


class Program:
    """A random computation over a few variables, with views, in-place candidates, assignments and reads after them."""

    def __init__(self, choices: list[tuple[int, int, int]], variables: list[Variable]) -> None:
        self.choices = choices
        self.variables = variables

    def __call__(self, x: Any) -> Any:
        values: list[Any] = [x, *self.variables]
        outputs: list[Any] = []
        for operation, left, right in self.choices:
            a, b = values[left % len(values)], values[right % len(values)]
            match operation % 12:
                case 0:
                    values.append(add(a, b))
                case 1:
                    values.append(multiply(a, b))
                case 2:
                    values.append(maximum(a, negative(b)))
                case 3:
                    values.append(transpose(a, axes=(1, 0)))
                case 4:
                    values.append(reshape(reshape(a, shape=(16,)), shape=(4, 4)))
                case 5:
                    values.append(getitem(a, key=((3, None, -1), (0, 4, 1))))
                case 6:
                    values.append(tanh(a))
                case 7:
                    row = reduce_sum(a, axes=(0,), keepdims=True)
                    values.append(broadcast_to(row, shape=(4, 4)))
                case 8:
                    outputs.append(a)
                case 9:
                    self.variables[left % len(self.variables)].assign(b)
                case 10:
                    values.append(copy(a))
                case _:
                    both = concatenate(a, b, axis=0)
                    values.append(getitem(both, key=((2, 6, 1), (0, 4, 1))))
        return [*outputs, values[-1]]


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=14))
@settings(max_examples=300, deadline=None)
def test_a_plan_gives_what_eager_execution_gives(choices: list[tuple[int, int, int]]) -> None:
    start = [np.linspace(-1, 1, 16, dtype=np.float32).reshape(4, 4) * (k + 1) for k in range(3)]
    x = np.sin(np.arange(16, dtype=np.float32)).reshape(4, 4)
    planned = [Variable(array) for array in start]
    eager = [Variable(array) for array in start]
    compiled = CompiledFunction(Program(choices, planned), "program")
    reference = Program(choices, eager)
    for _ in range(3):  # the second run meets the memory that the first one left
        got = compiled(x)
        # Eager reads hand out live memory; keep each result as it was when it was made.
        with Tape(watch_variables=False):
            expected = [
                np.array(value.read().array if isinstance(value, Variable) else value.array)
                for value in reference(Tensor(x.copy()))
            ]
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(planned, eager, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert not compiled.eager


def test_two_variables_swap_their_values() -> None:
    a, b = Variable(np.zeros(3, np.float32)), Variable(np.ones(3, np.float32))

    def swap() -> Any:
        left, right = a.value, b.value
        a.assign(right)
        b.assign(left)
        return left

    compiled = CompiledFunction(swap, "swap")
    np.testing.assert_array_equal(compiled(), np.zeros(3))
    np.testing.assert_array_equal(a.numpy(), np.ones(3))
    np.testing.assert_array_equal(b.numpy(), np.zeros(3))


def test_an_update_writes_straight_into_its_variable() -> None:
    weights = Variable(np.ones((64, 64), np.float32))

    def step(gradient: Any) -> None:
        weights.assign(weights - gradient * 0.5)

    compiled = CompiledFunction(step, "step")
    compiled(np.ones((64, 64), np.float32))
    ((plan, _),) = compiled._plans.values()
    assert not plan._commits
    np.testing.assert_array_equal(weights.numpy(), np.full((64, 64), 0.5))


def test_an_update_in_place_never_reads_what_it_has_overwritten() -> None:
    size = 2 * CHUNK + 7  # the update goes chunk by chunk: the last reads what the first has written
    start = np.arange(size, dtype=np.float32)
    weights = Variable(start)

    def step() -> None:
        backwards = getitem(weights, key=((size - 1, None, -1),))
        weights.assign(sgd_update(weights, backwards, np.float32(0.5)))

    CompiledFunction(step, "step")()
    np.testing.assert_array_equal(weights.numpy(), start - 0.5 * start[::-1])


def test_a_plan_follows_a_variable_whose_memory_was_replaced() -> None:
    weights = Variable(np.ones(3, np.float32))
    compiled = CompiledFunction(lambda x: x * weights, "scale")
    x = np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(compiled(x), x)
    before = weights.array
    with Tape():
        weights.read()  # the tape may need it: the assignment leaves its memory alone
        weights.assign(np.full(3, 2, np.float32))
    assert weights.array is not before
    np.testing.assert_array_equal(compiled(x), 2 * x)


def test_a_function_that_branches_on_data_runs_eagerly_after_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    def branch(x: Any) -> Any:
        return exp(x) if bool(reduce_sum(x, axes=(0,)) > 0) else negative(x)

    compiled = CompiledFunction(branch, "branch")
    x = np.array([-1.0, -2.0], np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(compiled(x), [1, 2])
    assert [record.message.split(":")[0] for record in caplog.records] == ["branch runs without a plan"]


def test_results_do_not_change_with_the_next_run() -> None:
    compiled = CompiledFunction(lambda x: [x + 1, reshape(x, shape=(4,))], "steps")
    first = compiled(np.zeros((2, 2), np.float32))
    compiled(np.ones((2, 2), np.float32))
    np.testing.assert_array_equal(first[0], np.ones((2, 2)))
    np.testing.assert_array_equal(first[1], np.zeros(4))


def test_every_signature_gets_its_own_plan_and_the_oldest_is_dropped() -> None:
    compiled = CompiledFunction(lambda x: x * 2, "double", limit=2)
    for size in (1, 2, 3, 1):
        np.testing.assert_array_equal(compiled(np.ones(size, np.float32)), np.full(size, 2))
    assert len(compiled._plans) == 2
