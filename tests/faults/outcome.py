"""What came of a scenario, and the judgement on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from clients.load.audit import Audit, audit
from clients.load.ledger import Ledger, Row
from clients.load.outcomes import Verdict
from tests.faults.deployment import Death
from tests.faults.faults import Strikes
from tests.faults.worklog import Work

LATE = 504
# Of fewer it is chance: a worker is killed between two batches about every third time.
ENOUGH_DEATHS = 5


@dataclass
class Outcome:
    """All that was seen of a scenario.

    Attributes:
        ledger: every request and what became of it.
        strikes: the faults and their windows.
        work: what the workers wrote down.
        deaths: of workers.
        lives: the moments at which the queue server lost data.
        leftovers: keys that should not be, or would stay for ever.
        looks: how often the keys were looked at.
        growth: what processes hold more than before.
        complaints: what the programs said that tells of a fault of ours.
        recovery_limit_s: for the 99th percentile.
        checks: what must be true besides.
    """

    name: str
    seed: int
    ledger: Ledger
    strikes: Strikes
    work: Work
    deaths: list[Death]
    lives: list[float]
    leftovers: list[str]
    looks: int
    growth: list[str]
    complaints: list[str]
    recovery_limit_s: float
    checks: Sequence[Callable[[Outcome], Iterable[str]]] = field(default=(), repr=False)

    @cached_property
    def rows(self) -> list[Row]:
        """The requests."""
        return list(self.ledger.rows())

    @cached_property
    def audit(self) -> Audit:
        """The ledger's; windows of faults that must not be noticed excuse nothing."""
        windows = [one for one in self.strikes.windows if one.breaks or one.name in self.strikes.hurting]
        return audit(self.ledger, windows)

    @property
    def lost(self) -> int:
        """Requests without an answer, and accepted ones whose answer did not come by their deadline."""
        return self.audit.lost + sum(row.status == LATE for row in self.rows)

    @property
    def wrong(self) -> int:
        """Answers that were another image's, or not right for the request in another way."""
        return self.audit.wrong

    @cached_property
    def recoveries(self) -> list[float]:
        """Seconds from the death of a worker to the answer of each request that it had taken on, in order.

        Where the next worker died over it, too, they count from that.
        """
        died = {
            claim.number: death.at
            for death in sorted(self.deaths, key=lambda death: death.at)
            for claim in self.work.held(death.pid, death.at)
        }
        answered = {row.picture: row.ended for row in self.rows if row.verdict is Verdict.OK and not row.malformed}
        return sorted(
            answered[number] - at for number, at in died.items() if number in answered and answered[number] > at
        )

    def recovery(self, share: float) -> float:
        """The recovery that this share of the requests did not exceed; NaN where no request had to recover."""
        if not self.recoveries:
            return math.nan
        return self.recoveries[min(len(self.recoveries) - 1, int(share * len(self.recoveries)))]

    @cached_property
    def failures(self) -> list[str]:
        """What is wrong, in words; empty where all is right."""
        return [*self._of_requests(), *self._of_work(), *self._of_traces(), *self._of_checks()]

    def _of_requests(self) -> list[str]:
        found = list(self.audit.failures)
        if self.lost and not self.audit.lost:
            found.append(f"{self.lost} accepted requests had no answer by their deadline")
        if self.audit.bare_refusals:
            found.append(f"{self.audit.bare_refusals} refusals had no Retry-After")
        if not self.strikes.hurting:
            bad = [row for row in self.rows if row.verdict in (Verdict.UNAVAILABLE, Verdict.FAILED)]
            if bad:
                examples = sorted({f"{row.status} {row.code}" for row in bad})
                found.append(f"clients noticed: {len(bad)} of {len(self.rows)} requests got {', '.join(examples)}")
        return found

    def _of_work(self) -> list[str]:
        found = []
        twice = self.work.accepted_twice(self.lives)
        if twice:
            found.append(f"{len(twice)} jobs had two finishes accepted, such as {twice[0]}")
        if len(self.deaths) >= ENOUGH_DEATHS and not self.recoveries:
            found.append(
                f"of {len(self.deaths)} workers that died none held a job that was answered: this proves nothing"
            )
        if self.recovery(0.99) > self.recovery_limit_s:
            found.append(f"recovery took {self.recovery(0.99):.2f} s, expected at most {self.recovery_limit_s:g} s")
        return found

    def _of_traces(self) -> list[str]:
        found = [*self.leftovers, *self.growth, *self.complaints]
        if not self.looks:
            found.append("the keys in the queue server could not be looked at")
        return found

    def _of_checks(self) -> list[str]:
        return [one for check in self.checks for one in check(self)]
