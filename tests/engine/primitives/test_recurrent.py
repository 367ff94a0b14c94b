"""Recurrent networks over whole sequences: their formulas, gradients to the second order, half types, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from engine.primitives import dispatch
from engine.primitives.recurrent import gru, lstm, simple_rnn
from tests.engine.gradient_check import check_gradients
from tests.engine.kernels.cases import recurrent


@pytest.fixture(autouse=True)
def _reference() -> Iterator[None]:
    before = dispatch.device()
    dispatch.set_device("numpy")
    yield
    dispatch.set_device(before)


KINDS = {
    "lstm": (lstm, {}),
    "gru": (gru, {"reset_after": True}),
    "gru, reset before": (gru, {"reset_after": False}),
    "simple": (simple_rnn, {"activation": "tanh"}),
    "simple, relu": (simple_rnn, {"activation": "relu"}),
}
kinds = pytest.mark.parametrize(("network", "options"), list(KINDS.values()), ids=list(KINDS))


def _arrays(network: Any, options: dict[str, Any], *lengths: int, seed: int = 0) -> list[Any]:
    _, shapes, _ = recurrent(network.name, *lengths, **options)
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def test_lstm_is_hochreiters_and_schmidhubers() -> None:
    x, h, c, kernel, recurrent_kernel, bias = arrays = _arrays(lstm, {}, 2, 3, 4, 5)
    outputs = []
    for time in range(3):
        i, f, g, o = np.split(x[:, time] @ kernel + h @ recurrent_kernel + bias, 4, axis=1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        outputs.append(h)
    found = lstm(*arrays)
    for ours, expected in zip(found, (np.stack(outputs, axis=1), h, c), strict=True):
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_mixes_the_state_with_a_candidate(reset_after: bool) -> None:
    x, h, kernel, recurrent_kernel, bias = arrays = _arrays(gru, {"reset_after": reset_after}, 2, 3, 4, 5)
    gates, last = slice(0, 10), slice(10, 15)
    for time in range(3):
        projected = x[:, time] @ kernel + bias[:15]
        z, r = np.split(_sigmoid(projected[:, gates] + h @ recurrent_kernel[:, gates]), 2, axis=1)
        after, before = r * (h @ recurrent_kernel[:, last] + bias[-5:]), (r * h) @ recurrent_kernel[:, last]
        h = z * h + (1 - z) * np.tanh(projected[:, last] + (after if reset_after else before))
    np.testing.assert_allclose(gru(*arrays, reset_after=reset_after)[1].numpy(), h, rtol=1e-12)


@kinds
def test_backwards_is_forwards_on_the_reversed_sequence(network: Any, options: dict[str, Any]) -> None:
    x, *others = _arrays(network, options, 2, 4, 3, 5)
    y, *states = network(x, *others, backwards=True, **options)
    expected, *last = network(x[:, ::-1].copy(), *others, **options)
    np.testing.assert_allclose(y.numpy(), expected.numpy()[:, ::-1], rtol=1e-12)
    for ours, theirs in zip(states, last, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12)


@kinds
@pytest.mark.parametrize("backwards", [False, True])
def test_gradients_equal_numerical_differences(network: Any, options: dict[str, Any], backwards: bool) -> None:
    check_gradients(
        lambda *values: network(*values, backwards=backwards, **options), *_arrays(network, options, 2, 3, 2, 3)
    )


@kinds
def test_second_order_gradients_equal_numerical_differences(network: Any, options: dict[str, Any]) -> None:
    check_gradients(lambda *values: network(*values, **options), *_arrays(network, options, 1, 2, 2, 1), order=2)


@kinds
@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16], ids=["float16", "bfloat16"])
def test_half_types_compute_in_float32(network: Any, options: dict[str, Any], dtype: Any) -> None:
    halves = [array.astype(dtype) for array in _arrays(network, options, 2, 20, 3, 4)]
    exact = network(*(array.astype(np.float32) for array in halves), **options)
    for ours, expected in zip(network(*halves, **options), exact, strict=True):
        assert ours.dtype == dtype
        np.testing.assert_array_equal(ours.numpy(), expected.numpy().astype(dtype))


def test_shapes_that_do_not_fit_are_named() -> None:
    x, *others = _arrays(lstm, {}, 2, 3, 4, 5)
    with pytest.raises(ValueError, match=r"expects inputs \(batch, time, features\).*Received: shape \(2, 4\)"):
        lstm(x[:, 0], *others)
    with pytest.raises(ValueError, match="at least one step"):
        lstm(x[:, :0], *others)
    with pytest.raises(ValueError, match=r"a kernel of shape \(3, 20\). Received: \(4, 20\)"):
        lstm(x[:, :, :3], *others)
    with pytest.raises(ValueError, match=r"state 1 of shape \(2, 5\). Received: \(3, 5\)"):
        lstm(x, others[0], np.zeros((3, 5)), *others[2:])
