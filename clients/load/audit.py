"""The audit of a ledger: was anything lost or wrong, and how long did faults last for clients?"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from clients.load.latencies import Latencies
from clients.load.ledger import Ledger, Row
from clients.load.outcomes import Ending, Verdict


@dataclass(frozen=True)
class FaultWindow:
    """A time in which something was done to the service. Moments are `time.monotonic()`'s.

    Attributes:
        name: What was done.
        began: When.
        ended: When all was to be well again.
        breaks: Whether it breaks connections of clients that nothing stands in front of, as killing a web process does.
    """

    name: str
    began: float
    ended: float
    breaks: bool = False


@dataclass(frozen=True)
class Rules:
    """What a ledger must keep to.

    Attributes:
        ok_share: The least share of right answers outside fault windows, of the requests that predictions are
            right for.
        deadline_s: Seconds from sending within which predictions must come; None: any time.
        recovery_p99_s: The most seconds from a fault to the answers of what was under way then, for 99 of 100.
    """

    ok_share: float = 0.99
    deadline_s: float | None = None
    recovery_p99_s: float = 4.0


@dataclass
class WindowAudit:
    """What came within a fault window.

    Attributes:
        window: The window.
        requests: Requests that were under way in it for a time.
        outcomes: How they ended: by status and code, or by `Ending`.
        recovered_s: Seconds from the fault to the first right answer for a request sent after it; None: none came.
        in_flight_s: The most seconds from the fault to a right answer for a request under way at its moment; 0: none.
    """

    window: FaultWindow
    requests: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    recovered_s: float | None = None
    in_flight_s: float = 0.0


@dataclass(frozen=True)
class Audit:
    """What a ledger says.

    Attributes:
        requests: Requests sent.
        ok: Those that ended as is right for them.
        lost: Those without an answer, but for those in `broken` and `hung_up`.
        wrong: Answers that are another's, or not right for what was sent.
        twice: Requests with several outcomes.
        broken: Connections that broke in windows which break connections.
        unavailable: Clear refusals: 429, 502, 503, 504.
        bare_refusals: Those with status 503 that have no `Retry-After`.
        failed: Other 5xx.
        hung_up: Requests whose client left on purpose.
        late: Predictions after the deadline.
        malformed: Requests that were malformed on purpose.
        share_ok_outside: Share of right answers outside fault windows; NaN where nothing was sent outside.
        windows: What came in each fault window.
        recovery_p50_s, recovery_p99_s, recovery_largest_s: Seconds from a fault to the right answers of what was
            under way then; NaN where nothing was.
        failures: The rules that were broken, in words.
    """

    requests: int
    ok: int
    lost: int
    wrong: int
    twice: int
    broken: int
    unavailable: int
    bare_refusals: int
    failed: int
    hung_up: int
    late: int
    malformed: int
    share_ok_outside: float
    windows: tuple[WindowAudit, ...]
    recovery_p50_s: float
    recovery_p99_s: float
    recovery_largest_s: float
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether all rules were kept to."""
        return not self.failures

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it: null in place of NaN."""
        found = {**asdict(self), "passed": self.passed}
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in found.items()}


def audit(ledger: Ledger, windows: Iterable[FaultWindow] = (), rules: Rules = Rules()) -> Audit:
    """Audit the ledger of a run that is over."""
    found = _Windows(windows)
    verdicts: Counter[Verdict] = Counter()
    lost = ledger.missing
    broken = bare_refusals = late = malformed = outside = outside_ok = unsent = 0
    last_sent = -math.inf
    for row in ledger.rows():
        verdict = row.verdict
        if row.ending == Ending.UNSENT:
            unsent += 1
            continue
        touched = found.touched_by(row)
        verdicts[verdict] += 1
        malformed += bool(row.malformed)
        if verdict == Verdict.BROKEN:
            if any(each.window.breaks for each in touched):
                broken += 1
            else:
                lost += 1
        elif verdict == Verdict.SILENT:
            lost += 1
        bare_refusals += row.status == 503 and row.retry_after_s is None
        is_prediction = row.expectation.is_prediction and not row.malformed
        if is_prediction and not touched and verdict != Verdict.HUNG_UP:
            outside += 1
            outside_ok += verdict == Verdict.OK
        if is_prediction and verdict != Verdict.HUNG_UP:
            last_sent = max(last_sent, row.sent)
        if is_prediction and verdict == Verdict.OK:
            found.recovers(row)
            late += rules.deadline_s is not None and row.ended - row.sent > rules.deadline_s
    recovery = found.recovery
    share = outside_ok / outside if outside else math.nan
    wrong, twice, p99 = verdicts[Verdict.WRONG], ledger.twice, _percentile(recovery, 99)
    failures = [
        f"{count} {what}"
        for count, what in (
            (lost, "lost"),
            (wrong, "wrong"),
            (twice, "with several outcomes"),
            (late, f"predictions later than {rules.deadline_s or 0:g} s"),
        )
        if count
    ]
    if share < rules.ok_share:
        failures.append(f"outside fault windows {share:.2%} were right, expected {rules.ok_share:.2%}")
    if p99 > rules.recovery_p99_s:
        failures.append(f"recovery took {p99:.2f} s at p99, expected {rules.recovery_p99_s:g} s")
    failures += [f"never recovered from {name}" for name in found.unrecovered(last_sent)]
    requests = len(ledger) - unsent + ledger.missing
    if not requests:
        failures.append("nothing was sent")
    elif not verdicts[Verdict.OK] and verdicts[Verdict.HUNG_UP] < requests:
        failures.append("nothing was right")
    return Audit(
        requests=requests,
        ok=verdicts[Verdict.OK],
        lost=lost,
        wrong=wrong,
        twice=twice,
        broken=broken,
        unavailable=verdicts[Verdict.UNAVAILABLE],
        bare_refusals=bare_refusals,
        failed=verdicts[Verdict.FAILED],
        hung_up=verdicts[Verdict.HUNG_UP],
        late=late,
        malformed=malformed,
        share_ok_outside=share,
        windows=tuple(found.audits),
        recovery_p50_s=_percentile(recovery, 50),
        recovery_p99_s=p99,
        recovery_largest_s=recovery.largest if len(recovery) else math.nan,
        failures=tuple(failures),
    )


class _Windows:
    """Fault windows by time."""

    def __init__(self, windows: Iterable[FaultWindow]) -> None:
        self.audits = [WindowAudit(window) for window in sorted(windows, key=lambda each: each.began)]
        self.recovery = Latencies()
        self._began = [each.window.began for each in self.audits]
        self._longest = max((each.window.ended - each.window.began for each in self.audits), default=0.0)
        self._unrecovered = deque(self.audits)

    def touched_by(self, row: Row) -> Sequence[WindowAudit]:
        """Return the windows in which a request was under way, and count it there."""
        if not self.audits:
            return ()
        first = bisect_left(self._began, row.sent - self._longest)
        touched = [
            each for each in self.audits[first : bisect_right(self._began, row.ended)] if each.window.ended >= row.sent
        ]
        outcome = row.ending.name.lower()
        if row.ending == Ending.ANSWERED:
            outcome = f"{row.status} {row.code}".rstrip()
        for each in touched:
            each.requests += 1
            each.outcomes[outcome] += 1
        return touched

    def recovers(self, row: Row) -> None:
        """Note what a right answer says about recovery."""
        for each in self.audits[bisect_left(self._began, row.sent) : bisect_left(self._began, row.ended)]:
            taken = row.ended - each.window.began
            self.recovery.add(taken)
            each.in_flight_s = max(each.in_flight_s, taken)
        while self._unrecovered and self._unrecovered[0].window.began < row.sent:
            recovered = self._unrecovered.popleft()
            recovered.recovered_s = row.ended - recovered.window.began

    def unrecovered(self, last_sent: float) -> list[str]:
        """Name those over before the last request was sent, after which no answer was right."""
        return [each.window.name for each in self._unrecovered if each.window.ended < last_sent]


def _percentile(latencies: Latencies, percent: float) -> float:
    return latencies.percentile(percent) if len(latencies) else math.nan
