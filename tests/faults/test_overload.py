"""Three times the load that the workers can take: they stay as busy, and the rest is refused at once."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator

import pytest

from tests.faults.deployment import Deployment, deployed
from tests.faults.overload import LAYOUT, find_peak, overload

SECONDS = 4.0

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc for its processes"),
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """One worker whose model takes 10 ms an image."""
    with deployed(LAYOUT) as made:
        yield made


@pytest.fixture(scope="module")
def peak(deployment: Deployment) -> float:
    """Predictions a second when nobody sends more than is answered."""
    return find_peak(deployment, SECONDS)


def test_three_times_the_load_is_answered_as_far_as_can_be_and_the_rest_refused_at_once(
    deployment: Deployment, peak: float, fault_seed: int
) -> None:
    outcome = overload(deployment, peak, SECONDS, fault_seed)
    print(outcome)
    assert outcome.failures == []


def test_high_priority_is_served_first_and_low_does_not_starve(
    deployment: Deployment, peak: float, fault_seed: int
) -> None:
    outcome = overload(deployment, peak, SECONDS, fault_seed, mixed=True)
    print(outcome)
    assert outcome.failures_of_order == []
