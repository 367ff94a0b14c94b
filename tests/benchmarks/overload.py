"""Three times more requests than the service can answer, at random moments, whatever becomes of those before them.

The most that a server can answer is found by doubling its clients until that helps no more. What is refused at once
costs nothing that could have been an answer; what is accepted must be answered by its deadline.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from clients.load.load import run
from clients.load.pictures import FilePictures, Picture
from clients.load.plan import Plan
from clients.load.ramp import ramp
from clients.load.tally import Report
from tests.benchmarks import settings
from tests.benchmarks.contestant import installed
from tests.benchmarks.inference import make_files
from tests.benchmarks.load import LoadError
from tests.benchmarks.models import noop_worker
from tests.benchmarks.models.resnet50 import NAME as RESNET50
from tests.benchmarks.networks.files import folder_for
from tests.benchmarks.pictures import digit, photograph
from tests.benchmarks.rounds import Figures, alternate, median, print_table, spread
from tests.benchmarks.servers import Beagle, Server

FIRST_CLIENTS = 8
TIMES = 3
PEERS = ("litserve",)
KEPT, REFUSAL_MS, IN_TIME = 0.95, 10.0, 0.99
"""The budgets: right answers in time as a share of the most, p99 of refusals, share of accepted requests in time."""


@dataclass(frozen=True)
class Case:
    """What is asked for.

    Attributes:
        task: see `peers.tasks`.
        title: of its table.
        picture: makes the file that is posted.
        deadline_s: of each request; the load lasts so many times longer than --seconds, too.
        environ: of the server, beside its own.
        peers: whether others than Beagle can take part.
    """

    task: str
    title: str
    picture: Callable[[], bytes]
    deadline_s: int = 1
    environ: Mapping[str, str] = field(default_factory=dict)
    peers: bool = True


CASES = {
    "slow": Case(
        "digit",
        "A model that takes 4 ms an image elsewhere",
        digit,
        environ={noop_worker.SECONDS: "0.004"},
        peers=False,
    ),
    "noop": Case("digit", "A model that takes no time", digit),
    "resnet50": Case("resnet50", "ResNet50", photograph, deadline_s=4),
}


def measure(server: Server, case: Case, files: Path, seconds: float) -> Figures:
    """Start a server, find the most that it answers, overload it, stop it.

    Returns:
        `peak` and `rate` (answers and requests a second), `kept` (right answers in time, a share of the peak),
        `in time` (share of the requests answered with 200), `p99` of these (ms), `late` (answers 504: accepted, and
        not computed in time), `refusals` (503) and `refusal p99` (of both, ms), `unsent` (requests for which there
        was no connection any more) and `silent` (those sent that got no answer).

    Raises:
        LoadError: an answer was wrong, or there was none at all.
    """
    with contextlib.ExitStack() as stack:
        serving = stack.enter_context(server.serving(case.task, files, case.environ))
        plan = Plan(
            urls=[serving.url],
            pictures=FilePictures([Picture(case.picture(), case.task)]),
            clients=FIRST_CLIENTS,
            duration_s=seconds * case.deadline_s,
            warm_up_s=case.deadline_s,  # until then a queue may grow to which no new requests are admitted
            deadline_ms=case.deadline_s * 1000,
            forms=[serving.form],
        )
        reports = [step.report for step in ramp(plan, "clients").steps]
        peak = max(_in_time(report) for report in reports)
        if not peak:
            raise LoadError(f"{server.name} answered nothing within {case.deadline_s} s")
        report = run(replace(plan, clients=0, rate=TIMES * peak))
    for one in (*reports, report):
        if one.verdicts.get("wrong") or one.surplus:
            raise LoadError(f"{server.name} gave wrong answers: {one.as_json()}")
    accepted, unsent = report.latencies.count, report.endings.get("unsent", 0)
    return {
        "peak": peak,
        "rate": report.rate,
        "kept": _in_time(report) / peak,
        "in time": report.within_deadline * report.planned / accepted if accepted else 0.0,
        "p99": report.latencies.p99,
        "late": float(report.statuses.get("504", 0)),
        "refusals": float(report.statuses.get("503", 0)),
        "refusal p99": report.refusals.p99,
        "unsent": float(unsent),
        "silent": float(sum(report.endings.values()) - unsent),
    }


def _in_time(report: Report) -> float:
    """Right answers in time, a second."""
    return report.within_deadline * report.planned / report.seconds if report.planned else 0.0


def print_figures(case: Case, measured: Mapping[str, Sequence[Figures]], rounds: int) -> None:
    """Print a row a server, and below them the budgets."""
    header = (
        *("", "most, images/s", "asked, images/s", "kept of the most", "lowest, highest"),
        *("accepted in time", "their p99 ms", "504", "503", "p99 ms of both", "unsent", "without answer"),
    )
    names = ("in time", "p99", "late", "refusals", "refusal p99", "unsent", "silent")
    rows: list[Sequence[object]] = [
        (
            name,
            *(median(figures, figure) for figure in ("peak", "rate", "kept")),
            spread(figures, "kept"),
            *(median(figures, figure) for figure in names),
        )
        for name, figures in measured.items()
    ]
    allowed = (
        f">= {KEPT:g}",
        "",
        f">= {IN_TIME:g}",
        f"<= {case.deadline_s * 1000}",
        "0",
        "",
        f"<= {REFUSAL_MS:g}",
        "",
        "0",
    )
    title = f"{case.title}: {TIMES} times the most, deadline {case.deadline_s} s, medians of {rounds} rounds"
    print_table(title, header, [*rows, ("budget", "", "", *allowed)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; every wrong answer is an error."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks overload", description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--rounds", type=int, default=3, help="rounds, each with all servers (default 3)")
    parser.add_argument(
        "--seconds", type=float, default=6.0, help="of load for each second of the deadline (default 6)"
    )
    parser.add_argument("--files", type=Path, help="folder in which ResNet50's files are kept (default: none is)")
    options = parser.parse_args(arguments)
    peers = installed(options.peers)
    with folder_for(options.files) as files:
        if "resnet50" in options.cases:
            make_files(RESNET50, files, ["float32"], ["onnxruntime"] if peers else [])
        for name in options.cases:
            case = CASES[name]
            servers: list[Server] = [Beagle()]
            servers += [settings.BEST[peer][case.task][0] for peer in peers if case.peers]
            turns = {one.name: partial(measure, one, case, files, options.seconds) for one in servers}
            print_figures(case, alternate(options.rounds, turns), options.rounds)
