"""The service beside its peers: LitServe, mosec, and the well-known naive design.

Every round starts each server anew. All do the same work for the same image, each in the form that is natural for it:
a form for Beagle and LitServe, the file alone for mosec. The client is the same for all, and compares every answer.
ResNet50 has the same random weights everywhere; its answers are compared by their labels, since the last digits of a
probability depend on how many images happened to share a batch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.benchmarks import settings
from tests.benchmarks.contestant import installed
from tests.benchmarks.inference import make_files
from tests.benchmarks.load import LoadError, ask, put_load, warm_up
from tests.benchmarks.models.noop_worker import LABELS, PROBABILITIES, TOP
from tests.benchmarks.models.resnet50 import NAME as RESNET50
from tests.benchmarks.networks.files import folder_for
from tests.benchmarks.networks.shapes import RESNET50_TOP_K
from tests.benchmarks.pictures import digit, photograph
from tests.benchmarks.processor_time import seconds_by_role
from tests.benchmarks.rounds import Figures, alternate, median, median_of_ratios, print_table, spread
from tests.benchmarks.servers import Beagle, LitServe, Server

WARM_UP_S = 1.0
OURS, OURS_INT8 = Beagle().name, Beagle("int8").name
LITSERVE = LitServe().name
PEERS = ("litserve", "mosec", "naive")
_CLIENT = "client"


@dataclass(frozen=True)
class Case:
    """What is asked of the servers.

    Attributes:
        task: what they do for a request, see `peers.tasks`.
        title: of its tables.
        picture: makes the file that is posted.
        clients: how many ask at once, one measurement after the other.
        lengthening: how much longer than others its measurements take, since it has fewer answers a second.
    """

    task: str
    title: str
    picture: Callable[[], bytes]
    clients: tuple[int, ...]
    lengthening: int = 1


CASES = {
    case.task: case
    for case in (
        Case("digit", "No-op model, 28x28 PNG", digit, (1, 32, 128)),
        Case("photo", "No-op model, 640x427 JPEG", photograph, (1, 32)),
        Case("resnet50", "ResNet50, 640x427 JPEG", photograph, (1, 32), lengthening=3),
    )
}


@dataclass(frozen=True)
class Budget:
    """What the project promises: a figure of ours divided by LitServe's, `limit` at most or at least.

    LitServe computes in float32 with ONNX Runtime, whatever `ours` is.
    """

    task: str
    clients: int
    figure: str
    limit: float
    ours: str = OURS

    @property
    def most(self) -> bool:
        """Whether less is better."""
        return self.figure != "rate"

    def met(self, ratio: float) -> bool:
        """Whether a measured ratio keeps it."""
        return ratio <= self.limit if self.most else ratio >= self.limit


BUDGETS = (
    Budget("digit", 1, "p50", 0.3),
    Budget("digit", 32, "rate", 1.6),
    Budget("digit", 128, "rate", 1.6),
    Budget("photo", 1, "rate", 1.2),
    Budget("photo", 32, "rate", 1.3),
    Budget("resnet50", 32, "rate", 1.2),
    Budget("resnet50", 32, "rate", 3.0, OURS_INT8),
)


def check(case: Case, answer: bytes) -> None:
    """Raise LoadError unless an answer has the model's labels, best first; those of the no-op model with numbers."""
    content = json.loads(answer)
    got = [(entry["label"], entry["probability"]) for entry in content["predictions"]]
    if case.task == "resnet50":
        labels = [label for label, _ in got]
        expected = _REFERENCE.setdefault(case.task, labels)
        right = labels == expected and len(labels) == RESNET50_TOP_K
    else:
        fixed = [(label, PROBABILITIES[LABELS.index(label)]) for label in TOP]
        right = got == fixed
        expected = [label for label, _ in fixed]
    if content["success"] is not True or not right:
        raise LoadError(f"expected the labels {expected}, got {answer!r}")


_REFERENCE: dict[str, list[str]] = {}
"""The labels that the first contestant gave, with which all others must agree."""


def measure(server: Server, case: Case, files: Path, seconds: int) -> Figures:
    """Start a server, put each number of clients on it, stop it.

    Returns:
        For each number n of clients: `p50 n` and `p99 n` (milliseconds), `rate n` (answers a second), and microseconds
        of processor time an answer, `µs n ROLE`, of the server's processes by their roles and of the client.
    """
    figures: Figures = {}
    with server.serving(case.task, files) as serving:
        body = serving.body(case.picture())
        expected = ask(serving.url, body)
        check(case, expected)
        for clients in case.clients:
            warm_up(serving.url, body, expected=expected, clients=clients, seconds=WARM_UP_S)
            before = seconds_by_role(serving.pid, serving.roles)
            load = put_load(
                serving.url,
                body,
                expected=expected,
                connections=clients,
                seconds=seconds * case.lengthening,
                labels_only=case.task == "resnet50",
            )
            after = seconds_by_role(serving.pid, serving.roles)
            figures |= {f"p50 {clients}": load.p50_ms, f"p99 {clients}": load.p99_ms, f"rate {clients}": load.rate}
            used = {role: after[role] - before.get(role, 0.0) for role in after} | {_CLIENT: load.client_s}
            figures |= {f"µs {clients} {role}": s / load.requests * 1e6 for role, s in used.items()}
    return figures


def contestants(case: Case, peers: Sequence[str]) -> list[Server]:
    """Ours and the peers that take part in a case, each with its best settings."""
    listed: list[Server] = [Beagle()]
    if case.task == "resnet50":
        listed.append(Beagle("int8"))
    return listed + [server for peer in peers for server in settings.BEST[peer].get(case.task, ())]


def print_figures(case: Case, measured: Mapping[str, Sequence[Figures]], rounds: int) -> None:
    """Print a table for each number of clients, a row a server."""
    for clients in case.clients:
        rows = []
        for name, figures in measured.items():
            start = f"µs {clients} "
            shares = {key.removeprefix(start): median(figures, key) for key in figures[0] if key.startswith(start)}
            client = shares.pop(_CLIENT)
            roles = sorted((role for role in shares if shares[role] >= 1), key=shares.__getitem__, reverse=True)
            ratio = f"{median_of_ratios(measured[OURS], figures, f'rate {clients}'):.3g}" if OURS in measured else ""
            rows.append(
                (
                    name,
                    *(median(figures, f"{what} {clients}") for what in ("p50", "p99", "rate")),
                    spread(figures, f"rate {clients}"),
                    ratio,
                    round(sum(shares.values())),
                    ", ".join(f"{role} {shares[role]:.0f}" for role in roles),
                    round(client),
                )
            )
        many = f"{clients} client{'s' if clients > 1 else ''}"
        header = (
            "",
            "p50 ms",
            "p99 ms",
            "images/s",
            "lowest, highest",
            "Beagle / it",
            "µs of CPU",
            "of which",
            _CLIENT,
        )
        print_table(f"{case.title}, {many}: medians of {rounds} rounds", header, rows)


def judge(case: Case, measured: Mapping[str, Sequence[Figures]]) -> list[tuple[str, float, str, str]]:
    """Rows of the budgets of a case: what, measured, allowed, and whether it is kept."""
    rows = []
    for budget in BUDGETS:
        if budget.task != case.task or budget.ours not in measured or LITSERVE not in measured:
            continue
        ratio = median_of_ratios(measured[budget.ours], measured[LITSERVE], f"{budget.figure} {budget.clients}")
        what = f"{case.title}, clients {budget.clients}, {budget.figure}: {budget.ours} / LitServe"
        allowed = f"{'<=' if budget.most else '>='} {budget.limit:g}"
        rows.append((what, ratio, allowed, "met" if budget.met(ratio) else "missed"))
    return rows


def run(case: Case, servers: Mapping[str, Server], files: Path, rounds: int, seconds: int) -> dict[str, list[Figures]]:
    """Let the servers take turns, and print what they measured."""
    turns = {name: partial(measure, server, case, files, seconds) for name, server in servers.items()}
    measured = alternate(rounds, turns)
    print_figures(case, measured, rounds)
    return measured


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; every wrong or missing answer is an error."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks service", description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--rounds", type=int, default=5, help="rounds, each with all servers (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="of load in each measurement (default 4)")
    parser.add_argument("--search", choices=list(settings.SEARCHED), help="compare settings of one server instead")
    parser.add_argument("--files", type=Path, help="folder in which ResNet50's files are kept (default: none is)")
    options = parser.parse_args(arguments)
    modules = {"litserve": "litserve", "mosec": "mosec", "naive": "tensorflow"}
    found = installed([modules[peer] for peer in options.peers])
    peers = [peer for peer in options.peers if modules[peer] in found]
    judged = []
    with contextlib.ExitStack() as stack:
        files = stack.enter_context(folder_for(options.files))
        if "resnet50" in options.cases:
            make_files(RESNET50, files, ["int8"], ["onnxruntime"] if {"litserve", "mosec"} & {*peers} else [])
        for name in options.cases:
            case = CASES[name]
            if options.search:
                searched = {str(server): server for server in settings.SEARCHED[options.search][name]}
                run(case, searched, files, options.rounds, options.seconds)
                continue
            servers = {server.name: server for server in contestants(case, peers)}
            print(case.title, *map(str, servers.values()), sep="\n  ", flush=True)
            measured = run(case, servers, files, options.rounds, options.seconds)
            judged += judge(case, measured)
    if judged:
        print_table("Medians of the rounds' ratios", ("", "measured", "budget", ""), judged)
