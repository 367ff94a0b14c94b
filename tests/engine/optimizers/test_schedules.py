"""Schedules follow Keras's curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.optimizers import schedules
from tests.engine.keras_reference import keras

MAKERS: list[Callable[[Any], Any]] = [
    lambda k: k.ExponentialDecay(0.1, 3, 0.5, staircase=True),
    lambda k: k.ExponentialDecay(0.1, 3, 0.5),
    lambda k: k.PiecewiseConstantDecay([2, 4], [0.1, 0.2, 0.3]),
    lambda k: k.PolynomialDecay(0.1, 4, power=2.0, cycle=True),
    lambda k: k.PolynomialDecay(0.1, 4),
    lambda k: k.InverseTimeDecay(0.1, 2, 0.5),
    lambda k: k.CosineDecay(0.1, 5, alpha=0.1, warmup_target=0.5, warmup_steps=3),
    lambda k: k.CosineDecay(0.1, 5),
    lambda k: k.CosineDecayRestarts(0.1, 2),
    lambda k: k.CosineDecayRestarts(0.1, 2, t_mul=1.0, m_mul=0.5),
]


@pytest.mark.parametrize("make", MAKERS)
def test_rates_and_configs_equal_keras(make: Callable[[Any], Any]) -> None:
    ours, theirs = make(schedules), make(keras.optimizers.schedules)
    assert ours.get_config() == theirs.get_config()
    again = type(ours).from_config(ours.get_config())
    for step in range(9):
        np.testing.assert_allclose(float(ours(step)), float(theirs(step)), rtol=1e-5, atol=1e-7)
        assert float(again(step)) == float(ours(step))


def test_a_value_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="2 boundaries and 2 values"):
        schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2])
