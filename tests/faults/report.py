"""What came of scenarios, as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from clients.load.audit import audit
from tests.benchmarks.rounds import print_table
from tests.faults.outcome import Outcome

MOST_CODES = 6  # shown for a fault


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """A line a scenario."""
    header = (
        *("scenario", "requests", "faults", "lost", "wrong", "twice", "refused", "broken", "left"),
        *("200 outside %", "recovery p50 s", "p99 s", "late finishes", "verdict"),
    )
    rows = [
        [
            outcome.name,
            outcome.audit.requests,
            len(outcome.strikes.windows),
            outcome.lost,
            outcome.wrong,
            len(outcome.work.accepted_twice(outcome.lives)),
            outcome.audit.unavailable,
            outcome.audit.broken,
            outcome.audit.hung_up,
            _figure(outcome.audit.share_ok_outside * 100, 2),
            *_recovery(outcome),
            outcome.work.refused(),
            "failed" if outcome.failures else "passed",
        ]
        for outcome in outcomes
    ]
    print_table("recovery: from the death of a worker to the answers of what it held, else from a fault", header, rows)


def print_windows(outcome: Outcome) -> None:
    """A line a fault: how long its window was, and what came in it."""
    rows = []
    for one in audit(outcome.ledger, outcome.strikes.windows).windows:
        codes = [f"{count} of {what}" for what, count in one.outcomes.most_common(MOST_CODES + 1)]
        if len(codes) > MOST_CODES:
            codes[MOST_CODES:] = ["…"]
        rows.append([one.window.name, f"{one.window.ended - one.window.began:.1f}", one.requests, ", ".join(codes)])
    print_table(outcome.name, ("fault", "seconds", "requests", "what came while it lasted"), rows)


def _recovery(outcome: Outcome) -> list[str]:
    if outcome.recoveries:
        return [_figure(outcome.recovery(share), 3) for share in (0.5, 0.99)]
    return [_figure(outcome.audit.recovery_p50_s, 3), _figure(outcome.audit.recovery_p99_s, 3)]


def _figure(value: float, decimals: int) -> str:
    return "" if math.isnan(value) else f"{value:.{decimals}f}"
