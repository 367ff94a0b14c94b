"""Arrivals of an open loop: independent, at the rate that was asked for, the same for the same seed."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from clients.load.arrivals import poisson

RATE = 200.0


def test_gaps_are_exponential() -> None:
    gaps = np.diff(list(islice(poisson(RATE, 5), 20_001)))
    assert gaps.mean() == pytest.approx(1 / RATE, rel=0.03)
    assert gaps.std() == pytest.approx(1 / RATE, rel=0.03)
    # The distance of Kolmogorov and Smirnov to the exponential distribution; 1.63 / sqrt(n) is its 99 % point.
    ordered = np.sort(gaps)
    distance = np.abs(1 - np.exp(-RATE * ordered) - np.arange(1, len(gaps) + 1) / len(gaps)).max()
    assert distance < 1.63 / np.sqrt(len(gaps))
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.03


def test_counts_in_intervals_vary_as_much_as_they_are() -> None:
    counts = np.bincount(np.array(list(islice(poisson(RATE, 6), 20_000)), dtype=int))[:-1]
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.5)


def test_a_seed_decides() -> None:
    first, again, other = (list(islice(poisson(RATE, seed), 10)) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_is_above_0(rate: float) -> None:
    with pytest.raises(ValueError, match="expected a rate"):
        next(poisson(rate, 0))
