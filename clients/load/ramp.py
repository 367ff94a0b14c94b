"""Ramps to saturation: how many clients, or requests a second, the service can bear."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from clients.load.load import run
from clients.load.plan import Plan
from clients.load.tally import Report

FIRST_RATE = 16.0
MOST_STEPS = 32

_KEEPS_UP = 0.95  # of the requests due are rightly answered while the next come
_IN_TIME = 0.99
_GROWS = 1.05  # twice the clients must bring at least so much more
_NEAR_THE_BEST = 0.95
_FINE = 1.05  # a bisection ends when its ends differ by less


@dataclass(frozen=True)
class Step:
    """One run of a ramp.

    Attributes:
        load: Clients, or requests a second.
        report: What it found.
        is_borne: Whether the service bore it.
    """

    load: float
    report: Report
    is_borne: bool


@dataclass(frozen=True)
class Ramp:
    """All runs in order, and the knee.

    Attributes:
        by: "clients" or "rate".
        steps: The runs.
        knee: By rate, the highest that was borne: nearly all requests rightly answered in time while the next came.
            By clients, the fewest with nearly the best goodput. None: not even the first step was borne.
    """

    by: str
    steps: tuple[Step, ...]
    knee: Step | None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        steps = [{"load": each.load, "is_borne": each.is_borne, **each.report.as_json()} for each in self.steps]
        return {"by": self.by, "knee": None if self.knee is None else self.knee.load, "steps": steps}


Run = Callable[[Plan], Report]


def ramp(plan: Plan, by: str, on_step: Callable[[Step], None] | None = None, run: Run = run) -> Ramp:
    """Double the load until the service no longer bears it, then bisect; each step is a run of the plan.

    Args:
        plan: Its clients or rate, if given, are the first step; its duration is that of a step.
        by: "clients" or "rate".
        on_step: Called after each step.
        run: Carries out a plan.

    Raises:
        ValueError: `by` is neither, or the plan's runs have no end.
    """
    if by not in ("clients", "rate"):
        raise ValueError(f"expected a ramp by clients or rate, got {by!r}")
    if plan.requests is None and plan.duration_s == math.inf:
        raise ValueError("expected a duration or a number of requests for the steps of a ramp")
    steps: list[Step] = []

    def step(load: float) -> Step:
        if by == "rate":
            report = run(replace(plan, clients=0, rate=load, seed=plan.seed + len(steps)))
            is_borne = report.goodput >= _KEEPS_UP * report.rate and report.within_deadline >= _IN_TIME
            is_borne = is_borne and (plan.requests is not None or _was_sent(load, report))
        else:
            report = run(replace(plan, clients=int(load), rate=0.0, seed=plan.seed + len(steps)))
            is_borne = report.within_deadline >= _IN_TIME
        steps.append(Step(load, report, is_borne))
        if on_step is not None:
            on_step(steps[-1])
        return steps[-1]

    knee = _highest_rate(step, plan.rate or FIRST_RATE) if by == "rate" else _fewest_clients(step, plan.clients or 1)
    return Ramp(by, tuple(steps), knee)


def _was_sent(rate: float, report: Report) -> bool:
    """Whether as many requests were sent as chance allows: who cannot send them learns nothing of the service."""
    due = rate * report.seconds
    return report.planned >= due - 4 * math.sqrt(due)


def _highest_rate(step: Callable[[float], Step], first: float) -> Step | None:
    best: Step | None = None
    load = first
    too_much = None
    for _ in range(MOST_STEPS):
        found = step(load)
        if found.is_borne:
            best = found
        else:
            too_much = load
        if too_much is None:
            load *= 2
        elif best is None or too_much / best.load < _FINE:
            break
        else:
            load = (best.load + too_much) / 2
    return best


def _fewest_clients(step: Callable[[float], Step], first: int) -> Step | None:
    borne: list[Step] = []
    load = first
    for _ in range(MOST_STEPS):
        found = step(load)
        if not found.is_borne:
            break
        borne.append(found)
        if len(borne) > 1 and found.report.goodput < _GROWS * borne[-2].report.goodput:
            break
        load *= 2
    if not borne:
        return None
    enough = _NEAR_THE_BEST * max(each.report.goodput for each in borne)
    knee = next(each for each in borne if each.report.goodput >= enough)
    too_few = max((each.load for each in borne if each.load < knee.load), default=knee.load)
    while knee.load - too_few > 1 and knee.load / too_few >= _FINE:
        found = step((too_few + knee.load) // 2)
        if found.is_borne and found.report.goodput >= enough:
            knee = found
        else:
            too_few = found.load
    return knee
