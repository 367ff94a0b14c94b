"""Three times as many requests as the workers can take: what they can do is done, the rest is refused at once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from clients.load.ledger import Ledger, Row
from clients.load.load import run
from clients.load.pictures import NumberedPictures
from clients.load.plan import Plan
from tests.faults.deployment import Deployment, Layout

LAYOUT = Layout(workers=1, max_batch=8, batch_s=0.0, image_s=0.01, web_processes=1)
OVERLOAD = 3.0
CLIENTS = 32  # of the closed loop: enough for full batches
DEADLINE_S = 1.0
PATIENT_DEADLINE_S = 2.0
WARM_UP_S = 1.5  # until the queue is as long as the deadline lets it be
PRIORITIES = ("high", "normal", "low")

LEAST_GOODPUT = 0.95  # of the peak
REFUSED_WITHIN_S = 0.01
LEAST_LOW_SHARE = 0.02  # of the predictions


@dataclass(frozen=True)
class Overloaded:
    """What came of an open loop at OVERLOAD times the peak.

    Attributes:
        peak: predictions a second of a closed loop.
        rate: requests a second that were sent.
        goodput: predictions a second.
        refused: refusals, status 503.
        refusal_p99_s: how long they took, from the moment planned, at the 99th percentile.
        bare_refusals: those without Retry-After.
        late: predictions after the deadline, and requests without any by then.
        other: by status and code, what else came.
        latencies: seconds of the predictions by priority.
    """

    peak: float
    rate: float
    goodput: float
    refused: int
    refusal_p99_s: float
    bare_refusals: int
    late: int
    other: dict[str, int]
    latencies: Mapping[str, Sequence[float]] = field(repr=False)

    @property
    def failures(self) -> list[str]:
        """What is not as it should be, in words."""
        found = []
        if self.goodput < LEAST_GOODPUT * self.peak:
            found.append(f"{self.goodput:.1f} predictions/s, expected {LEAST_GOODPUT:.0%} of {self.peak:.1f}")
        if not self.refused:
            found.append("nothing was refused")
        if self.refusal_p99_s > REFUSED_WITHIN_S:
            most = f"{REFUSED_WITHIN_S * 1000:g} ms"
            found.append(f"refusals took {self.refusal_p99_s * 1000:.1f} ms at p99, expected {most}")
        if self.bare_refusals:
            found.append(f"{self.bare_refusals} refusals had no Retry-After")
        if self.late:
            found.append(f"{self.late} accepted requests were not answered by their deadline")
        if self.other:
            found.append(f"neither predictions nor refusals: {self.other}")
        return found

    @property
    def failures_of_order(self) -> list[str]:
        """Where priorities were mixed: what is wrong with who came first."""
        # Not how long each took: what is accepted of high priority may wait up to its deadline, like all else.
        found = [f"no prediction for priority {name}" for name in PRIORITIES if not self.latencies.get(name)]
        total = sum(map(len, self.latencies.values()))
        answered = {name: len(self.latencies.get(name, ())) for name in PRIORITIES}
        if answered["high"] <= max(answered["normal"], answered["low"]):
            found.append(f"of as many requests each, high has not the most predictions: {answered}")
        if len(self.latencies.get("low", ())) < LEAST_LOW_SHARE * total:
            found.append(f"low priority starves: {len(self.latencies.get('low', ()))} of {total} predictions")
        if self.late:
            found.append(f"{self.late} accepted requests were not answered by their deadline")
        return found


def find_peak(deployment: Deployment, seconds: float) -> float:
    """Predictions a second of a closed loop that always has a full batch waiting."""
    run(Plan(deployment.urls, NumberedPictures(), clients=CLIENTS, duration_s=WARM_UP_S))
    ledger = Ledger()
    began = time.monotonic()
    run(Plan(deployment.urls, NumberedPictures(), clients=CLIENTS, duration_s=seconds), ledger)
    ended = [row.ended for row in ledger.rows() if row.status == 200]
    return sum(moment < began + seconds for moment in ended) / seconds


def overload(deployment: Deployment, peak: float, seconds: float, seed: int, *, mixed: bool = False) -> Overloaded:
    """Send OVERLOAD times the peak for `seconds` after a warm-up.

    Args:
        mixed: whether each priority has a third of the requests.
    """
    deadline_s = PATIENT_DEADLINE_S if mixed else DEADLINE_S
    plan = Plan(
        deployment.urls,
        NumberedPictures(),
        rate=OVERLOAD * peak,
        duration_s=WARM_UP_S + seconds,
        seed=seed,
        deadline_ms=deadline_s * 1000,
        priorities=dict.fromkeys(PRIORITIES, 1.0) if mixed else {},
    )
    ledger = Ledger()
    began = time.monotonic() + WARM_UP_S
    run(plan, ledger)
    rows = list(ledger.rows())
    good = [row for row in rows if row.status == 200 and began <= row.ended < began + seconds]
    measured = [row for row in rows if row.planned >= began]
    refusals = [row for row in measured if row.status == 503]
    times = sorted(row.ended - row.planned for row in refusals)
    late = [row for row in measured if row.status == 504 or (row.status == 200 and row.ended - row.sent > deadline_s)]
    return Overloaded(
        peak=peak,
        rate=OVERLOAD * peak,
        goodput=len(good) / seconds,
        refused=len(refusals),
        refusal_p99_s=times[int(0.99 * len(times))] if times else 0.0,
        bare_refusals=sum(row.retry_after_s is None for row in refusals),
        late=len(late),
        other=_others(measured),
        latencies=_latencies(row for row in measured if row.status == 200),
    )


def _others(rows: Sequence[Row]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        if row.status not in (200, 503, 504):
            name = f"{row.ending.name} {row.status} {row.code}".strip()
            found[name] = found.get(name, 0) + 1
    return found


def _latencies(rows: Iterable[Row]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row.priority, []).append(row.ended - row.planned)
    return found
