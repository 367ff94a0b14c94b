"""Plans give what eager runs give: random programs of views, in-place operations and assignments."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine import ops
from engine.graph.compiled import CompiledFunction
from engine.tensor import Tensor
from engine.variable import Variable

SIDE = 4

# Each takes two values and a variable, and gives a value.
OPERATIONS: list[Callable[[Any, Any, Variable], Any]] = [
    lambda a, b, v: a + b,
    lambda a, b, v: a * b,
    lambda a, b, v: a - ops.transpose(a),
    lambda a, b, v: ops.transpose(a),
    lambda a, b, v: ops.reshape(ops.reshape(a, (SIDE * SIDE,)), (SIDE, SIDE)),
    lambda a, b, v: ops.maximum(a, b),
    lambda a, b, v: ops.flip(a, axis=0),
    lambda a, b, v: ops.relu(a),
    lambda a, b, v: ops.softmax(a),
    lambda a, b, v: 0.1 * ops.matmul(a, b),
    lambda a, b, v: ops.concatenate([a[:2], b[2:]], axis=0),
    lambda a, b, v: ops.broadcast_to(ops.sum(a, axis=0, keepdims=True), (SIDE, SIDE)),
    lambda a, b, v: v + a,
    lambda a, b, v: ops.transpose(v),
    lambda a, b, v: _after(v.assign(a), b),
    lambda a, b, v: _after(v.assign_add(0.1 * a), b),
    lambda a, b, v: _after(v.assign(ops.transpose(v)), b),
]


def _after(_: Any, value: Any) -> Any:
    return value


def _program(seed: int, variables: list[Variable]) -> Callable[[Any, Any], list[Any]]:
    """A random program over two inputs and the variables; equal seeds give equal programs."""

    def run(x: Any, y: Any) -> list[Any]:
        choices, values = random.Random(seed), [x, y]
        for _ in range(choices.randint(4, 18)):
            operation, variable = choices.choice(OPERATIONS), choices.choice(variables)
            values.append(operation(choices.choice(values), choices.choice(values), variable))
        return [*choices.choices(values, k=3), ops.transpose(choices.choice(variables)), variables[0].value]

    return run


@pytest.mark.parametrize("seed", range(80))
def test_a_random_program_gives_the_same_as_a_plan(seed: int) -> None:
    rng = np.random.default_rng(seed)
    starts = rng.normal(size=(3, SIDE, SIDE)).astype(np.float32)
    ours, theirs = [Variable(start) for start in starts], [Variable(start) for start in starts]
    planned, eager = CompiledFunction(_program(seed, ours), "program"), _program(seed, theirs)
    for _ in range(3):
        x, y = rng.normal(size=(2, SIDE, SIDE)).astype(np.float32)
        received, expected = planned(x, y), eager(Tensor(x), Tensor(y))
        assert not planned.eager
        for got, want in zip([*received, *ours], [*expected, *theirs], strict=True):
            np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-3, atol=1e-4)
