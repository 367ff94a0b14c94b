"""First values of weights: drawn at once, or only where no file brings any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import engine
from engine import initializers, layers
from engine.initialization import initialization_deferred


class Counting(initializers.Initializer):
    """Sevens, and how often they were asked for."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        self.calls += 1
        return np.full(shape, 7, dtype)


def built(initializer: Any) -> layers.Dense:
    layer = layers.Dense(3, kernel_initializer=initializer)
    layer.build((None, 2))
    return layer


def test_weights_that_are_assigned_need_no_first_values() -> None:
    initializer = Counting()
    with initialization_deferred():
        layer = built(initializer)
        layer.set_weights([np.ones((2, 3)), np.full(3, 2.0)])
    assert initializer.calls == 0
    np.testing.assert_array_equal(layer.kernel, np.ones((2, 3)))
    np.testing.assert_array_equal(layer.bias, np.full(3, 2.0))


def test_weights_that_nobody_assigned_get_their_first_values_at_the_end() -> None:
    initializer = Counting()
    with initialization_deferred():
        layer = built(initializer)
        with initialization_deferred():
            inner = built(initializer)
        assert initializer.calls == 0
    assert initializer.calls == 2
    for item in (layer, inner):
        np.testing.assert_array_equal(item.kernel, np.full((2, 3), 7.0))
        np.testing.assert_array_equal(item.bias, np.zeros(3))


def test_afterwards_weights_are_drawn_at_once_again() -> None:
    with pytest.raises(KeyError), initialization_deferred():
        raise KeyError
    initializer = Counting()
    built(initializer)
    assert initializer.calls == 1


def test_an_initializer_gives_the_same_values_sooner_or_later() -> None:
    initializer = initializers.GlorotUniform(seed=3)
    with initialization_deferred():
        later = built(initializer)
    np.testing.assert_array_equal(later.kernel, built(initializer).kernel)


def test_loading_a_model_draws_no_random_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    model = engine.Sequential([layers.Input((4,)), layers.Dense(5), layers.Dropout(0.5), layers.Dense(2)])
    model.compile("adam", "mse")
    model.save(tmp_path / "model.keras")

    def refuse(self: Any, shape: Any, dtype: Any = None) -> Any:
        raise AssertionError("random numbers were drawn")

    monkeypatch.setattr(initializers.VarianceScaling, "__call__", refuse)
    loaded = engine.models.load_model(tmp_path / "model.keras")
    for received, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(received, expected)
