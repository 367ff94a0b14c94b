"""A scenario: a deployment under load, what is done to it, and what must be true in the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clients.load.ledger import Ledger
from clients.load.load import Load, run
from clients.load.pictures import NumberedPictures, Pictures
from clients.load.plan import Plan
from tests.faults.deployment import Deployment, Layout
from tests.faults.faults import Fault, Strikes
from tests.faults.growth import Allowance, grown, usages
from tests.faults.leftovers import Lookout
from tests.faults.outcome import Outcome
from tests.faults.worklog import Work

CLIENTS = 12
WARM_UP_S = 1.0
FULL_PACE_S = 1.0  # of load before the first fault
BACK_OFF_S = 0.05  # of a client after a refusal

Check = Callable[[Outcome], Iterable[str]]
"""Returns what is wrong, in words."""


@dataclass(frozen=True)
class Scenario:
    """What happens, and what must come of it beyond what always must.

    Attributes:
        name: in reports and on the command line.
        layout: scenarios with equal ones share a deployment.
        faults: makes the faults.
        load: fields of `clients.load.plan.Plan`; a closed loop of CLIENTS clients by default.
        pictures: makes the images that are sent.
        seconds: of load, unless asked for longer.
        checks: what must be true of the outcome besides.
        recovery_s: the longest a request may take from the death of its worker to its answer, at the 99th percentile.
        alone: whether nothing else may run on the machine meanwhile.
    """

    name: str
    layout: Layout
    faults: Callable[[], Sequence[Fault]] = tuple
    load: Mapping[str, Any] = field(default_factory=dict)
    pictures: Callable[[], Pictures] = NumberedPictures
    seconds: float = 6.0
    checks: Sequence[Check] = ()
    recovery_s: float = 4.0
    alone: bool = False

    def run(self, deployment: Deployment, seed: int, seconds: float | None = None) -> Outcome:
        """Play it on a deployment of its layout.

        Args:
            seed: of all that is drawn.
            seconds: in place of its own.
        """
        deployment.wait_until_whole()
        self._warm_up(deployment)
        before, names = usages(deployment.names()), deployment.names()
        deployment.deaths.clear()
        deployment.lives.clear()
        began = time.monotonic()
        ledger = Ledger()
        faults = self.faults()
        struck_s = max(0.0, (self.seconds if seconds is None else seconds) - FULL_PACE_S)
        with Lookout(deployment.connect) as lookout, Load(self._plan(deployment, seed), ledger) as load:
            _pause(FULL_PACE_S)
            with Strikes(deployment, faults, seed, struck_s) as strikes:
                _pause(struck_s)
            load.stop()
        complaints = _recovered(deployment)
        lookout.look()
        connections = int(self.load.get("clients", CLIENTS))
        return Outcome(
            name=self.name,
            seed=seed,
            ledger=ledger,
            strikes=strikes,
            work=Work.read(deployment.work_folder, began),
            deaths=list(deployment.deaths),
            lives=list(deployment.lives),
            leftovers=sorted(lookout.faulty),
            looks=lookout.looks,
            growth=grown(before, names.__getitem__, Allowance(descriptors=2 * connections + 8)),
            complaints=[*complaints, *deployment.complaints(), *(f"{name} never struck" for name in strikes.unstruck)],
            recovery_limit_s=self.recovery_s,
            checks=self.checks,
        )

    def _plan(self, deployment: Deployment, seed: int) -> Plan:
        fields = {"back_off_s": BACK_OFF_S, **self.load}
        if "rate" not in fields:
            fields.setdefault("clients", CLIENTS)
        return Plan(deployment.urls, self.pictures(), seed=seed, **fields)

    def _warm_up(self, deployment: Deployment) -> None:
        """So that pools are filled and connections open before anything is measured."""
        if deployment.warm:
            return
        clients = int(self.load.get("clients", CLIENTS))
        run(Plan(deployment.urls, NumberedPictures(), clients=clients, duration_s=WARM_UP_S))
        deployment.warm = True


def _recovered(deployment: Deployment) -> list[str]:
    """Nothing, where it is whole again in time; else what is missing, and what was said last."""
    try:
        deployment.wait_until_whole()
    except AssertionError as error:
        words = [f"{program.name} said last: {program.last_words()}" for program in deployment.programs]
        return [f"it does not become whole again: {error}", *words]
    return []


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)
