"""Every scenario: nothing is lost, whatever is done to the deployment; and the audit would see it if something were."""

from __future__ import annotations

import shutil
import sys

import pytest

from tests.faults.deployment import deployed
from tests.faults.lanes import Lanes
from tests.faults.outcome import Outcome
from tests.faults.report import print_outcomes, print_windows
from tests.faults.scenarios import EVERYTHING, LYING, SCENARIOS, WITHOUT_LEASES

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc for the processes it kills"),
    pytest.mark.skipif(
        not (shutil.which("nginx") and shutil.which("redis-server")), reason="nginx or redis-server is not installed"
    ),
]


def show(outcome: Outcome) -> None:
    """Into the report of a test that fails."""
    print(f"seed {outcome.seed}")
    print_windows(outcome)
    print_outcomes([outcome])


@pytest.mark.parametrize("name", sorted(SCENARIOS, key=lambda name: SCENARIOS[str(name)].alone))
def test_nothing_is_lost(lanes: Lanes, name: str) -> None:
    outcome = lanes.outcome(name)
    show(outcome)
    assert outcome.failures == []


@pytest.mark.parametrize("name", [WITHOUT_LEASES.name])
def test_without_leases_the_audit_sees_what_is_lost(lanes: Lanes, name: str) -> None:
    outcome = lanes.outcome(name)
    show(outcome)
    assert outcome.lost > 0
    assert any("had no answer by their deadline" in failure for failure in outcome.failures)


@pytest.mark.parametrize("name", [LYING.name])
def test_the_audit_sees_answers_of_a_model_that_lies(lanes: Lanes, name: str) -> None:
    outcome = lanes.outcome(name)
    assert outcome.wrong > 0
    assert outcome.lost == 0
    assert any("wrong" in failure for failure in outcome.failures)


def test_nothing_is_lost_when_everything_happens_at_once(fault_minutes: float, fault_seed: int) -> None:
    with deployed(EVERYTHING.layout) as deployment:
        outcome = EVERYTHING.run(deployment, fault_seed, fault_minutes * 60)
    show(outcome)
    assert outcome.failures == []
