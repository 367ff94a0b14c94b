"""What a run found, as tables for people."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from clients.load.audit import Audit
from clients.load.ramp import Ramp, Step
from clients.load.tally import Report, Summary


def print_report(console: Console, report: Report) -> None:
    """Print counts and latencies."""
    counts = _table(None, "", "")
    counts.add_row("measured", f"{report.seconds:.2f} s")
    counts.add_row("requests", f"{report.planned:,} ({report.rate:,.1f}/s)")
    counts.add_row("right answers", f"{report.goodput:,.1f}/s")
    if report.planned:
        counts.add_row("within deadline", f"{report.within_deadline:.2%}")
    counts.add_row("answers by status", _counted(report.statuses))
    if report.codes:
        counts.add_row("errors", _counted(report.codes))
    if report.endings:
        counts.add_row("without an answer", _counted(report.endings))
    counts.add_row("verdicts", _counted(report.verdicts))
    if report.surplus:
        counts.add_row("answers unasked for", f"{report.surplus:,}")
    console.print(counts)
    latencies = _table("ms", "", "count", "mean", "p50", "p90", "p99", "p99.9", "max")
    for name, summary in (
        ("right answers", report.latencies),
        *((name or "no priority", each) for name, each in report.by_priority.items()),
        ("refusals", report.refusals),
        ("sent late by", report.lag),
    ):
        if summary.count:
            latencies.add_row(name, *_cells(summary))
    console.print(latencies)


def print_audit(console: Console, audit: Audit) -> None:
    """Print what the ledger says."""
    counts = _table("ledger", "", "")
    for name in ("requests", "ok", "lost", "wrong", "twice", "unavailable", "failed", "broken", "hung_up", "late"):
        counts.add_row(name.replace("_", " "), f"{getattr(audit, name):,}")
    if audit.malformed:
        counts.add_row("malformed", f"{audit.malformed:,}")
    if audit.bare_refusals:
        counts.add_row("503 without Retry-After", f"{audit.bare_refusals:,}")
    if not math.isnan(audit.share_ok_outside):
        counts.add_row("right outside windows", f"{audit.share_ok_outside:.3%}")
    if not math.isnan(audit.recovery_p99_s):
        recovery = (audit.recovery_p50_s, audit.recovery_p99_s, audit.recovery_largest_s)
        counts.add_row("recovery p50, p99, max", ", ".join(f"{each:.2f} s" for each in recovery))
    console.print(counts)
    if audit.windows:
        windows = _table("fault windows", "fault", "length", "requests", "right again after", "outcomes")
        for each in audit.windows:
            recovered = "never" if each.recovered_s is None else f"{each.recovered_s:.2f} s"
            length = f"{each.window.ended - each.window.began:.2f} s"
            windows.add_row(each.window.name, length, f"{each.requests:,}", recovered, _counted(each.outcomes))
        console.print(windows)
    for failure in audit.failures:
        console.print(f"failed: {failure}", style="red", markup=False)
    if audit.passed:
        console.print("passed: nothing lost, nothing wrong", style="green")


def print_step(console: Console, by: str, step: Step) -> None:
    """Print one line about a step of a ramp."""
    report, said = step.report, "borne" if step.is_borne else "too much"
    console.print(
        f"{step.load:10,.0f} {by:8} {report.goodput:10,.1f}/s right  {report.within_deadline:8.2%} in time  "
        f"p50 {report.latencies.p50:8.2f} ms  p99 {report.latencies.p99:8.2f} ms  {said}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def print_knee(console: Console, ramp: Ramp) -> None:
    """Print where a ramp ended."""
    if ramp.knee is None:
        console.print("not even the first step was borne")
    else:
        unit = "clients" if ramp.by == "clients" else "requests a second"
        console.print(f"knee: {ramp.knee.load:,.0f} {unit}, {ramp.knee.report.goodput:,.1f} right answers a second")


def _table(title: str | None, *columns: str) -> Table:
    table = Table(*columns, title=title, title_justify="left", show_header=bool(any(columns)), box=box.SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right" if len(columns) > 2 else "left"
    return table


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {times:,}" for name, times in counts.items()) or "none"


def _cells(summary: Summary) -> list[str]:
    times = (summary.mean, summary.p50, summary.p90, summary.p99, summary.p99_9, summary.largest)
    return [f"{summary.count:,}", *(f"{time:,.2f}" for time in times)]
