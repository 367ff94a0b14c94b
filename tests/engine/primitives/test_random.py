"""Draws: functions of their key alone, distributed as they say; dropout."""

from __future__ import annotations

import threading
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from engine.primitives import random as r
from engine.primitives.primitive import Primitive
from engine.tape import Tape
from engine.tensor import Tensor
from tests.engine.gradient_check import check_gradients

COUNT = 200_000


def key(seed: int = 1, step: int = 0, draw: int = 0) -> Any:
    return np.array([seed, step, draw], np.int64)


def sample(target: Primitive, dtype: str = "float32", count: int = COUNT, at: Any = None, **options: Any) -> Any:
    return target(key() if at is None else at, shape=(count,), dtype=dtype, **options).numpy()


def test_a_key_gives_the_same_numbers_whatever_was_drawn_before() -> None:
    first = sample(r.random_normal, count=5)
    sample(r.random_integers, "int8", count=3, minval=0, maxval=5)  # leaves half a word behind in the generator
    np.testing.assert_array_equal(sample(r.random_normal, count=5), first)


@pytest.mark.parametrize("other", [key(seed=2), key(step=1), key(draw=1), key(draw=-1), key(step=2**40)])
def test_another_key_gives_unrelated_numbers(other: Any) -> None:
    ours, theirs = sample(r.random_normal), sample(r.random_normal, at=other)
    assert abs(np.corrcoef(ours, theirs)[0, 1]) < 0.01


def test_the_stream_is_that_of_numpys_philox() -> None:
    fresh = np.random.Generator(
        np.random.Philox(key=np.array([7, 2], np.uint64), counter=np.array([0, 0, 0, 5], np.uint64))
    )
    np.testing.assert_array_equal(sample(r.random_uniform, count=9, at=key(7, 5, 2)), fresh.random(9, dtype=np.float32))


def test_threads_do_not_disturb_each_other() -> None:
    expected = [sample(r.random_normal, count=1000, at=key(seed)) for seed in range(4)]
    right: list[bool] = []

    def work(seed: int) -> None:
        draws = (sample(r.random_normal, count=1000, at=key(seed)) for _ in range(50))
        right.extend(np.array_equal(drawn, expected[seed]) for drawn in draws)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 200


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_uniform_numbers_fill_their_interval(dtype: str) -> None:
    x = sample(r.random_uniform, dtype, minval=-2.0, maxval=3.0)
    assert x.dtype.name == dtype
    x = x.astype(float)
    assert x.min() >= -2
    assert x.max() < 3 or dtype in ("float16", "bfloat16")
    assert x.mean() == pytest.approx(0.5, abs=0.02)
    assert x.std() == pytest.approx(5 / np.sqrt(12), rel=0.01)


def test_uniform_numbers_never_reach_their_upper_bound() -> None:
    # Between 1 and 1 + 2 units in the last place nearly half of the sums would be rounded up to the bound.
    high = float(np.nextafter(np.nextafter(np.float32(1), np.float32(2)), np.float32(2)))
    assert sample(r.random_uniform, minval=1.0, maxval=high).max() < np.float32(high)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_normal_numbers_have_the_moments_asked_for(dtype: str) -> None:
    x = sample(r.random_normal, dtype, mean=2.0, stddev=0.5).astype(float)
    assert x.mean() == pytest.approx(2, abs=0.01)
    assert x.std() == pytest.approx(0.5, rel=0.01)
    assert ((x - 2) ** 4).mean() / 0.5**4 == pytest.approx(3, abs=0.1)


def test_truncated_normal_numbers_stay_within_two_deviations() -> None:
    x = sample(r.random_truncated_normal, mean=1.0, stddev=3.0).astype(float)
    assert abs(x - 1).max() <= 6
    assert x.mean() == pytest.approx(1, abs=0.03)
    assert x.std() == pytest.approx(3 * 0.8796, rel=0.01)  # of the truncated distribution


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64"])
def test_integers_are_equally_likely(dtype: str) -> None:
    x = sample(r.random_integers, dtype, minval=3, maxval=10)
    assert x.dtype.name == dtype
    values, counts = np.unique(x, return_counts=True)
    assert values.tolist() == list(range(3, 10))
    assert ((counts - COUNT / 7) ** 2 / (COUNT / 7)).sum() < 25  # chi-square, 6 degrees of freedom


def test_permutations_contain_everything_once_and_differ_by_key() -> None:
    first, second = (r.permutation(key(step=step), length=1000).numpy() for step in (0, 1))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(1000))
    assert (first == second).mean() < 0.02
    assert (first == np.arange(1000)).mean() < 0.02


def test_distributions_with_parameters_have_their_means() -> None:
    alpha = np.full(COUNT, 3.0, np.float32)
    assert r.random_gamma(key(), alpha).numpy().mean() == pytest.approx(3, rel=0.02)
    assert r.random_beta(key(), alpha, alpha / 3).numpy().mean() == pytest.approx(0.75, rel=0.02)
    counts = np.full(COUNT, 10.0, np.float32)
    assert r.random_binomial(key(), counts, counts / 40).numpy().mean() == pytest.approx(2.5, rel=0.02)
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        r.random_beta(key(), alpha[:2], alpha[:3])


@pytest.mark.parametrize(
    ("target", "dtype", "options"),
    [
        (r.random_uniform, "float32", {"minval": 1.0, "maxval": 2.0}),
        (r.random_normal, "bfloat16", {}),
        (r.random_truncated_normal, "float64", {"stddev": 2.0}),
        (r.random_integers, "int32", {"minval": 0, "maxval": 9}),
    ],
)
def test_plans_draw_the_same_into_given_memory(target: Primitive, dtype: str, options: Any) -> None:
    expected = sample(target, dtype, count=60, **options)
    for order in ("C", "F"):
        out = np.empty((3, 20), expected.dtype, order=order)  # type: ignore[call-overload]
        assert target.into is not None
        target.into((key(),), (out,), shape=(3, 20), dtype=dtype, **options)
        np.testing.assert_array_equal(out.ravel().astype(float), expected.astype(float))


def test_keys_come_from_a_generators_state_and_a_step() -> None:
    made = r.random_key(np.array([5, 9], np.uint32), np.array(7, np.int32), draw=3)
    assert (made.dtype, made.tolist()) == (np.int64, [5, 7, 3])


def test_what_is_no_key_or_no_fitting_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match="random key"):
        r.random_normal(np.zeros(2, np.int64), shape=(1,), dtype="float32")
    with pytest.raises(ValueError, match="float dtype"):
        r.random_normal(key(), shape=(1,), dtype="int32")
    with pytest.raises(ValueError, match="integer dtype"):
        r.random_integers(key(), shape=(1,), dtype="float32", minval=0, maxval=2)


# Dropout ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.3, 0.75, 0.003, 0.997])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_dropout_drops_at_its_rate_and_scales_the_rest(dtype: str, rate: float) -> None:
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    y = r.dropout(np.ones(COUNT, kind), key(), rate=rate).numpy().astype(float)
    kept = y != 0
    assert 1 - kept.mean() == pytest.approx(rate, abs=5 * np.sqrt(rate * (1 - rate) / COUNT))
    np.testing.assert_allclose(y[kept], 1 / (1 - rate), rtol=1e-2 if kind.itemsize == 2 else 1e-6)
    # Neighbours are dropped independently of each other.
    assert abs(np.corrcoef(kept[1:], kept[:-1])[0, 1]) < 0.015


def test_dropout_of_nothing_and_of_everything() -> None:
    x = np.arange(6, dtype=np.float32)
    np.testing.assert_array_equal(r.dropout(x, key(), rate=0.0).numpy(), x)
    np.testing.assert_array_equal(r.dropout(x, key(), rate=1.0).numpy(), 0 * x)


def test_what_is_dropped_is_zero_even_where_it_was_not_finite() -> None:
    x = np.array([np.inf, np.nan, 1, 2] * 50, np.float32)
    y, mask = r.dropout.evaluate([x, key()], {"rate": 0.5})
    assert not y[~mask].any()
    np.testing.assert_array_equal(y[mask], 2 * x[mask])


def test_entries_along_shared_axes_share_their_fate() -> None:
    y = r.dropout(np.ones((4, 100, 3), np.float32), key(), rate=0.5, noise_shape=(4, 1, 3)).numpy()
    assert (y == y[:, :1]).all()
    assert {0.0, 2.0} == set(y.ravel().tolist())
    with pytest.raises(ValueError, match=r"\(4, 2, 3\)"):
        r.dropout(np.ones((4, 5, 3), np.float32), key(), rate=0.5, noise_shape=(4, 2, 3))


def test_the_gradient_passes_where_the_value_did() -> None:
    x = Tensor(np.ones(1000, np.float32))
    with Tape() as tape:
        tape.watch(x)
        y = r.dropout(x, key(), rate=0.2)
    np.testing.assert_array_equal(tape.gradient(y, [x])[0].numpy(), y.numpy())
    drawn = Tensor(key())
    for noise in (None, (4, 1)):
        check_gradients(
            lambda x, noise=noise: r.dropout(x * x, drawn, rate=0.4, noise_shape=noise),
            np.random.default_rng(0).normal(size=(4, 5)),
            order=2,
        )


def test_dropout_works_in_place() -> None:
    x = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
    expected, expected_mask = r.dropout.evaluate([x, key()], {"rate": 0.3})
    mask = np.empty(x.shape, bool)
    assert r.dropout.into is not None
    r.dropout.into((x, key()), (x, mask), rate=0.3)
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(mask, expected_mask)


def test_impossible_rates_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Received: 1\.5"):
        r.dropout(np.ones(3, np.float32), key(), rate=1.5)
