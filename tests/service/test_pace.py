"""What a worker expects of its next batch, from what it measured."""

from __future__ import annotations

import pytest

from service.pace import Duration, Pace


def test_a_steady_duration_is_learned_until_both_bounds_meet_it() -> None:
    duration = Duration(1.0)
    for _ in range(100):
        duration.add(0.03)
    assert duration.at_least_s == pytest.approx(0.03, rel=0.05)
    assert duration.at_most_s == pytest.approx(0.03, rel=0.05)


def test_the_bounds_of_an_unsteady_duration_lie_around_its_mean() -> None:
    duration = Duration(0.03)
    for _ in range(50):
        duration.add(0.02)
        duration.add(0.04)
    assert 0.01 < duration.at_least_s < 0.025
    assert 0.04 < duration.at_most_s < 0.06


def test_nothing_is_expected_before_anything_was_measured() -> None:
    assert Pace().at_least_s(8) == 0.0


def test_each_batch_size_has_its_own_pace_and_unknown_ones_are_not_overestimated() -> None:
    pace = Pace()
    for _ in range(60):
        pace.add(1, 0.010)
        pace.add(8, 0.040)
    assert pace.at_least_s(1) == pytest.approx(0.010, rel=0.01)
    assert pace.at_least_s(8) == pytest.approx(0.040, rel=0.01)
    assert pace.at_least_s(32) == pytest.approx(0.040, rel=0.01)
    assert pace.at_least_s(6) == pytest.approx(0.030, rel=0.01)
