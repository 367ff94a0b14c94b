"""Percentiles: exact while samples are kept, within the width of a bucket afterwards."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.load.latencies import Latencies

PERCENTS = (1, 50, 90, 99, 99.9, 100)


def of(samples: list[float], exact_samples: int = 1_000_000) -> Latencies:
    latencies = Latencies(exact_samples)
    for sample in samples:
        latencies.add(sample)
    return latencies


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=300), st.sampled_from(PERCENTS))
def test_percentiles_are_numpys(samples: list[float], percent: float) -> None:
    expected = np.percentile(samples, percent, method="inverted_cdf")
    assert of(samples).percentile(percent) == pytest.approx(expected, rel=1e-12)


def test_percentiles_of_a_thousand_are_the_samples_of_that_rank() -> None:
    latencies = of([float(sample) for sample in range(1000, 0, -1)])
    assert [latencies.percentile(percent) for percent in (0.1, 50, 99.9, 100)] == [1.0, 500.0, 999.0, 1000.0]


def test_samples_may_come_after_a_percentile_was_asked_for() -> None:
    latencies = of([3.0, 1.0])
    assert latencies.percentile(50) == 1.0
    latencies.add(2.0)
    assert latencies.percentile(50) == 2.0
    assert (len(latencies), latencies.largest, latencies.mean) == (3, 3.0, 2.0)


def test_many_samples_are_counted_within_a_thousandth() -> None:
    samples = np.random.default_rng(1).lognormal(-5, 1.5, 20_001)
    latencies = of(samples.tolist(), exact_samples=1000)
    for percent in PERCENTS:
        expected = float(np.percentile(samples, percent, method="inverted_cdf"))
        assert latencies.percentile(percent) == pytest.approx(expected, rel=1e-3)
    assert latencies.largest == samples.max()
    assert latencies.mean == pytest.approx(samples.mean())


def test_durations_of_nothing_are_counted_too() -> None:
    assert of([0.0] * 20, exact_samples=10).percentile(50) <= 1e-6


def test_without_samples_there_is_no_percentile() -> None:
    assert math.isnan(Latencies().percentile(50))
    assert math.isnan(Latencies().mean)


@pytest.mark.parametrize("percent", [0, -1, 100.1])
def test_percentages_out_of_range_are_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="expected a percentage"):
        of([1.0]).percentile(percent)
