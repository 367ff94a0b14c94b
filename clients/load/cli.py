"""The command line: `python -m clients.load URL IMAGE…`."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from clients.load.audit import Audit, FaultWindow, Rules, audit
from clients.load.bodies import FORMS
from clients.load.learning import DisagreementError, with_labels
from clients.load.ledger import Ledger
from clients.load.load import Load
from clients.load.malformed import KINDS
from clients.load.pictures import FilePictures, NumberedPictures, Picture, Pictures
from clients.load.plan import DEFAULT_TIMEOUT_S, Plan
from clients.load.ramp import ramp
from clients.load.tables import print_audit, print_knee, print_report, print_step
from clients.load.tally import Report

_DURATION_S = 10.0
_STEP_S = 4.0
_LATE_BY_S = 0.25  # on the way there and back, and in queues of the network

_share = click.FloatRange(0, 1)
_positive = click.FloatRange(0, min_open=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("arguments", metavar="URL... IMAGE...", nargs=-1, required=True)
@click.option("--clients", type=click.IntRange(1), help="Closed loop of so many clients; 1 unless --rate is given.")
@click.option("--rate", type=_positive, help="Open loop: requests a second, at random moments.")
@click.option(
    "--ramp",
    "ramp_by",
    type=click.Choice(["clients", "rate"]),
    help=f"Find out how much is borne: steps of --duration ({_STEP_S:g} s).",
)
@click.option("--duration", type=_positive, help=f"Seconds of sending; {_DURATION_S:g} unless --requests is given.")
@click.option("--requests", type=click.IntRange(1), help="Send so many requests.")
@click.option("--warm-up", type=click.FloatRange(0), default=0.0, help="Seconds of sending before measuring.")
@click.option("--seed", type=int, default=0, help="Of all that is random; 0.")
@click.option("--form", "forms", type=click.Choice(FORMS), multiple=True, help="Form of the body; several: in turns.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A further header.")
@click.option("--deadline-ms", type=_positive, help="X-Deadline-Ms.")
@click.option("--priority", "priorities", multiple=True, metavar="NAME[=WEIGHT]", help="X-Priority; several: mixed.")
@click.option(
    "--timeout", type=_positive, default=DEFAULT_TIMEOUT_S, show_default=True, help="Seconds to wait for an answer."
)
@click.option("--no-keep-alive", is_flag=True, help="A new connection for each request.")
@click.option("--connections", type=click.IntRange(1), default=1024, show_default=True, help="Most at once, open loop.")
@click.option("--back-off-ms", type=click.FloatRange(0), default=0.0, help="Closed loop: pause after any but 200.")
@click.option("--numbered", is_flag=True, help="Send images of numbers in place of IMAGE; expect NUMBER % 1000.")
@click.option("--numbers", type=click.IntRange(1), help="So many different ones.")
@click.option("--expect", metavar="LABEL", help="The right label; else learned from the first answers.")
@click.option("--hang-up-share", type=_share, default=0.0, help="Share of clients that leave early.")
@click.option("--hang-up-after-ms", type=click.FloatRange(0), default=0.0, help="How early.")
@click.option("--malformed", type=_share, default=0.0, help="Share of requests that are wrong on purpose.")
@click.option(
    "--malformed-kind",
    "malformed_kinds",
    type=click.Choice([kind.name for kind in KINDS]),
    multiple=True,
    metavar="KIND",
    help="Only these kinds.",
)
@click.option(
    "--ledger", "ledger_path", type=click.Path(dir_okay=False, writable=True), help="Write all down, and audit it."
)
@click.option(
    "--windows",
    type=click.Path(exists=True, dir_okay=False),
    help="What was done to the service, read at the end: JSON lines of name, began, ended (Unix time), breaks.",
)
@click.option("--ok-share", type=_share, default=Rules.ok_share, show_default=True, help="Least share outside windows.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(arguments: Sequence[str], **options: Any) -> None:
    """Send IMAGEs to a service, and tell how it fared.

    A URL is http://HOST, https://HOST or unix:/SOCKET; without a path it is that of /predict. Of several URLs each
    is taken in turns.

    Exit status: 0 if all is fine, 1 if something was lost, wrong or failed (with --ledger: if the audit did not
    pass), 2 if the command line is wrong.
    """
    urls = [each for each in arguments if _is_url(each)]
    paths = [each for each in dict.fromkeys(arguments) if not _is_url(each)]
    if options["ramp_by"] and options["ledger_path"]:
        raise click.UsageError("--ramp keeps no ledger")
    if options["windows"] and not options["ledger_path"]:
        raise click.UsageError("--windows needs --ledger")
    try:
        plan = _plan(urls, _pictures(paths, options), options)
        if paths and options["expect"] is None:
            plan = replace(plan, pictures=FilePictures(with_labels(plan, _files(paths))))
        is_fine = _ramped(plan, options) if options["ramp_by"] else _loaded(plan, options)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except (DisagreementError, OSError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if is_fine else 1)


def _is_url(text: str) -> bool:
    return "://" in text or text.startswith("unix:")


def _pictures(paths: Sequence[str], options: dict[str, Any]) -> Pictures:
    if options["numbered"] or options["numbers"]:
        if paths:
            raise click.UsageError(f"expected images or --numbered, got both: {', '.join(paths)}")
        return NumberedPictures(count=options["numbers"])
    if not paths:
        raise click.UsageError("expected an IMAGE or more, or --numbered, got none")
    return FilePictures(_files(paths, options["expect"]))


def _files(paths: Sequence[str], label: str | None = None) -> list[Picture]:
    try:
        return [Picture(Path(path).read_bytes(), path, label) for path in paths]
    except OSError as error:
        raise click.UsageError(f"an image cannot be read: {error}") from error


def _plan(urls: Sequence[str], pictures: Pictures, options: dict[str, Any]) -> Plan:
    duration = options["duration"]
    if duration is None:
        duration = math.inf if options["requests"] else _STEP_S if options["ramp_by"] else _DURATION_S
    clients, rate = options["clients"] or 0, options["rate"] or 0.0
    if not rate:
        clients = clients or 1
    return Plan(
        urls=urls,
        pictures=pictures,
        clients=clients,
        rate=rate,
        duration_s=duration,
        requests=options["requests"],
        warm_up_s=options["warm_up"],
        seed=options["seed"],
        forms=options["forms"] or FORMS[:1],
        headers=[_header(text) for text in options["headers"]],
        deadline_ms=options["deadline_ms"],
        priorities=dict(_priority(text) for text in options["priorities"]),
        hang_up_share=options["hang_up_share"],
        hang_up_after_s=options["hang_up_after_ms"] / 1e3,
        malformed_share=options["malformed"],
        malformed_kinds=options["malformed_kinds"],
        timeout_s=options["timeout"],
        keep_alive=not options["no_keep_alive"],
        connections=options["connections"],
        back_off_s=options["back_off_ms"] / 1e3,
    )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.UsageError(f"--header: expected NAME:VALUE, got {text!r}")
    return name.strip(), value.strip()


def _priority(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        return name, float(weight or 1)
    except ValueError:
        raise click.UsageError(f"--priority: expected NAME or NAME=WEIGHT, got {text!r}") from None


def _ramped(plan: Plan, options: dict[str, Any]) -> bool:
    console, by = Console(stderr=options["as_json"]), options["ramp_by"]
    found = ramp(plan, by, lambda step: print_step(console, by, step))
    print_knee(console, found)
    if options["as_json"]:
        click.echo(json.dumps(found.as_json()))
    return found.knee is not None and not any(step.report.verdicts.get("wrong") for step in found.steps)


def _loaded(plan: Plan, options: dict[str, Any]) -> bool:
    audited: Audit | None = None
    if options["ledger_path"] is None:
        report = _run(plan, None)
    else:
        with Ledger(options["ledger_path"]) as ledger:
            report = _run(plan, ledger)
        deadline_s = None if plan.deadline_ms is None else plan.deadline_ms / 1e3 + _LATE_BY_S
        rules = Rules(options["ok_share"], deadline_s)
        audited = audit(ledger, _windows(options["windows"]), rules)
    if options["as_json"]:
        click.echo(json.dumps({"report": report.as_json(), "audit": None if audited is None else audited.as_json()}))
    else:
        console = Console()
        print_report(console, report)
        if audited is not None:
            print_audit(console, audited)
    return report.is_fine if audited is None else audited.passed


def _run(plan: Plan, ledger: Ledger | None) -> Report:
    """Carry out the plan; an interrupt ends it early, with the report."""
    load, console = Load(plan, ledger), Console(stderr=True)
    load.start()
    try:
        if not console.is_terminal:
            return load.wait()
        with console.status("sending") as status:
            while not load.ended_within(0.5):
                status.update(f"{load.tally.planned:,} requests")
        return load.wait()
    except KeyboardInterrupt:
        return load.stop()


def _windows(path: str | None) -> list[FaultWindow]:
    """Read fault windows, and turn their Unix time into monotonic time."""
    if path is None:
        return []
    offset = time.monotonic() - time.time()
    windows = []
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
            began, ended = float(said["began"]), float(said["ended"])
            windows.append(FaultWindow(str(said["name"]), began + offset, ended + offset, bool(said.get("breaks"))))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}:{number}: expected name, began and ended as JSON, got {line!r}") from error
    return windows
