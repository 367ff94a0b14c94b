"""Counts and latencies of a run while it goes on, and the report at its end."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from clients.load.exchange import Exchange
from clients.load.latencies import Latencies
from clients.load.outcomes import Ending, Verdict

_PERCENTS = (50.0, 90.0, 99.0, 99.9)


@dataclass(frozen=True)
class Summary:
    """Durations of one kind, in milliseconds; NaN where there are none.

    Attributes:
        count: How many.
        mean: Their mean.
        p50, p90, p99, p99_9: Percentiles.
        largest: The largest.
    """

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    p99_9: float
    largest: float

    @classmethod
    def of(cls, latencies: Latencies) -> Summary:
        """Summarise."""
        p50, p90, p99, p99_9 = (latencies.percentile(percent) * 1e3 for percent in _PERCENTS)
        return cls(len(latencies), latencies.mean * 1e3, p50, p90, p99, p99_9, latencies.largest * 1e3)


@dataclass(frozen=True)
class Report:
    """What a run found, its warm-up left out.

    Attributes:
        seconds: How long was measured.
        planned: Requests that were due in this time.
        statuses: Answers by status.
        codes: Errors by status and code, such as "503 queue_full".
        endings: What ended without an answer, by `Ending`.
        verdicts: All requests, by `Verdict`.
        goodput: Right answers a second within the time measured.
        within_deadline: Share of the requests due that were rightly answered within their deadline; of those
            answered at all where there is no deadline.
        latencies: Right answers, counted from when the request was due.
        by_priority: The same by priority, where there are several.
        refusals: Clear refusals (429, 502, 503, 504), counted from when the request was sent.
        lag: How late requests were sent: for want of a connection or of time.
        surplus: Answers that no request had asked for.
    """

    seconds: float
    planned: int
    statuses: dict[str, int]
    codes: dict[str, int]
    endings: dict[str, int]
    verdicts: dict[str, int]
    goodput: float
    within_deadline: float
    latencies: Summary
    by_priority: dict[str, Summary]
    refusals: Summary
    lag: Summary
    surplus: int

    @property
    def rate(self) -> float:
        """Requests due a second."""
        return self.planned / self.seconds if self.seconds else 0.0

    @property
    def is_fine(self) -> bool:
        """Whether there were right answers, and nothing was wrong, failed, broken or left without an answer."""
        bad = ("wrong", "failed", "broken", "silent")
        return not self.surplus and not any(self.verdicts.get(name) for name in bad) and bool(self.verdicts.get("ok"))

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it: null in place of NaN."""
        found: dict[str, Any] = _without_nan({**asdict(self), "rate": self.rate})
        return found


class Tally:
    """Counts requests that are due while it is open.

    Args:
        deadline_s: After so many seconds an answer is too late; None: never.
    """

    def __init__(self, deadline_s: float | None = None) -> None:
        self._deadline_s = math.inf if deadline_s is None else deadline_s
        self._began = math.inf
        self._ended = math.inf
        self._answers: Counter[tuple[int, str]] = Counter()
        self._endings: Counter[Ending] = Counter()
        self._verdicts: Counter[Verdict] = Counter()
        self._by_priority: dict[str, Latencies] = {}
        self._all = Latencies()
        self._refusals = Latencies()
        self._lag = Latencies()
        self._good = 0
        self._in_time = 0
        self.planned = 0
        """Requests that ended and were due while it was open."""
        self.surplus = 0
        """Answers that no request had asked for."""

    def open(self, moment: float) -> None:
        """Count from this moment on."""
        self._began = moment

    def shut(self, moment: float) -> None:
        """Count up to this moment; requests under way still come in."""
        self._ended = min(self._ended, moment)

    def add(self, exchange: Exchange) -> None:
        """Count a request that has ended."""
        verdict = exchange.verdict
        is_prediction = verdict == Verdict.OK and exchange.status == 200
        if is_prediction and self._began <= exchange.ended <= self._ended:
            self._good += 1
        if not self._began <= exchange.planned <= self._ended:
            return
        self.planned += 1
        self._verdicts[verdict] += 1
        if exchange.ending == Ending.ANSWERED:
            self._answers[exchange.status, exchange.code] += 1
        else:
            self._endings[exchange.ending] += 1
        if exchange.ending != Ending.UNSENT:
            self._lag.add(exchange.sent - exchange.planned)
        if is_prediction:
            latency = exchange.ended - exchange.planned
            self._in_time += latency <= self._deadline_s
            self._all.add(latency)
            found = self._by_priority.get(exchange.priority)
            if found is None:
                found = self._by_priority[exchange.priority] = Latencies()
            found.add(latency)
        elif verdict == Verdict.UNAVAILABLE:
            self._refusals.add(exchange.ended - exchange.sent)

    def report(self, moment: float) -> Report:
        """Return what was found so far, at `moment`."""
        seconds = max(0.0, min(self._ended, moment) - self._began)
        statuses: Counter[str] = Counter()
        for (status, _), times in self._answers.items():
            statuses[str(status)] += times
        several = len(self._by_priority) > 1
        return Report(
            seconds=seconds,
            planned=self.planned,
            statuses=dict(sorted(statuses.items())),
            codes={f"{status} {code}": times for (status, code), times in sorted(self._answers.items()) if code},
            endings={ending.name.lower(): times for ending, times in sorted(self._endings.items())},
            verdicts={verdict.name.lower(): times for verdict, times in sorted(self._verdicts.items())},
            goodput=self._good / seconds if seconds else 0.0,
            within_deadline=self._in_time / self.planned if self.planned else math.nan,
            latencies=Summary.of(self._all),
            by_priority={name: Summary.of(found) for name, found in self._by_priority.items()} if several else {},
            refusals=Summary.of(self._refusals),
            lag=Summary.of(self._lag),
            surplus=self.surplus,
        )


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
