"""Ramps: the knee of services whose capacity is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from clients.load import NumberedPictures, Plan, Report
from clients.load.latencies import Latencies
from clients.load.ramp import Step, ramp
from clients.load.tally import Summary

PLAN = Plan(urls=["http://127.0.0.1:1"], pictures=NumberedPictures(), clients=1, duration_s=1.0)
NOTHING = Summary.of(Latencies())


def report(due: float, goodput: float, within_deadline: float = 1.0) -> Report:
    return Report(1.0, round(due), {}, {}, {}, {}, goodput, within_deadline, NOTHING, {}, NOTHING, NOTHING, 0)


def answering(rate: float, most_in_time: float = float("inf")) -> Callable[[Plan], Report]:
    """A service that answers so many requests a second, and one client a tenth of them; too late above the other."""

    def run(plan: Plan) -> Report:
        due = plan.rate or plan.clients * rate / 10
        return report(due if plan.rate else min(due, rate), min(due, rate), 1.0 if due <= most_in_time else 0.5)

    return run


@pytest.mark.parametrize("capacity", [20, 333, 5000])
def test_by_rate_the_knee_is_the_capacity(capacity: float) -> None:
    found = ramp(replace(PLAN, clients=0, rate=16.0), "rate", run=answering(capacity))
    assert found.knee is not None
    # Of what is due, a twentieth may be missing, and the bisection ends within another.
    assert 0.95 * capacity <= found.knee.load <= 1.06 * capacity
    assert [step.load for step in found.steps[:2]] == [16.0, 32.0]
    assert found.knee.is_borne


def test_by_rate_answers_that_are_too_late_count_as_none() -> None:
    found = ramp(PLAN, "rate", run=answering(5000, most_in_time=700))
    assert found.knee is not None
    assert 0.95 * 700 <= found.knee.load <= 700


def test_by_rate_what_could_not_be_sent_was_not_borne() -> None:
    found = ramp(PLAN, "rate", run=lambda plan: report(min(plan.rate, 3000), min(plan.rate, 3000)))
    assert found.knee is not None
    assert found.knee.load <= 3000 + 4 * 3500**0.5


def test_by_clients_the_knee_is_the_fewest_with_nearly_the_best_goodput() -> None:
    found = ramp(PLAN, "clients", run=answering(1000))
    assert found.knee is not None
    assert found.knee.load == 10
    assert [step.load for step in found.steps[:6]] == [1, 2, 4, 8, 16, 32]


def test_one_client_may_be_enough() -> None:
    found = ramp(PLAN, "clients", run=lambda plan: report(50, 50))
    assert found.knee is not None
    assert [step.load for step in found.steps] == [1, 2]
    assert found.knee.load == 1


@pytest.mark.parametrize("by", ["clients", "rate"])
def test_a_service_that_answers_nothing_has_no_knee(by: str) -> None:
    found = ramp(PLAN, by, run=lambda plan: report(10, 0, 0.0))
    assert (found.knee, len(found.steps)) == (None, 1)
    assert found.as_json()["knee"] is None


def test_each_step_is_told() -> None:
    told: list[Step] = []
    found = ramp(PLAN, "clients", told.append, answering(1000))
    assert tuple(told) == found.steps


def test_what_cannot_be_ramped_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a ramp by clients or rate"):
        ramp(PLAN, "images")
    with pytest.raises(ValueError, match="expected a duration"):
        ramp(replace(PLAN, duration_s=float("inf")), "clients")
