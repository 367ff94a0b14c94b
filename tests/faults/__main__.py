"""`python -m tests.faults [NAME…]`: play scenarios and print what came of them; exit status 1: something is wrong."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.faults.deployment import deployed
from tests.faults.overload import LAYOUT, find_peak, overload
from tests.faults.report import print_outcomes, print_windows
from tests.faults.scenarios import CONTROLS, EVERYTHING, SCENARIOS

ALL = {**SCENARIOS, **CONTROLS, EVERYTHING.name: EVERYTHING}
OVERLOAD = "overload"
OVERLOAD_S = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join([*ALL, OVERLOAD])}")
    parser.add_argument("--minutes", type=float, help="of each scenario (default: its own seconds)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32, help="of all that is drawn")
    parser.add_argument("--windows", action="store_true", help="print every fault with what came while it lasted")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - {*ALL, OVERLOAD}
    if unknown:
        parser.error(f"unknown scenarios: {', '.join(sorted(unknown))}")
    print(f"seed {options.seed}", flush=True)
    names = options.names or [*SCENARIOS, OVERLOAD]
    seconds = options.minutes * 60 if options.minutes else None
    failed = False
    if OVERLOAD in names:
        failed = _overload(seconds or OVERLOAD_S, options.seed)
        names = [name for name in names if name != OVERLOAD]
    outcomes = []
    for name in names:
        scenario = ALL[name]
        with deployed(scenario.layout) as deployment:
            outcomes.append(scenario.run(deployment, options.seed, seconds))
        if options.windows:
            print_windows(outcomes[-1])
        for failure in outcomes[-1].failures:
            print(f"{name}: {failure}", flush=True)
    if outcomes:
        print_outcomes(outcomes)
    return int(failed or any(outcome.failures for outcome in outcomes))


def _overload(seconds: float, seed: int) -> bool:
    """Print what comes of overload; whether something is wrong."""
    with deployed(LAYOUT) as deployment:
        peak = find_peak(deployment, seconds)
        plain = overload(deployment, peak, seconds, seed)
        mixed = overload(deployment, peak, seconds, seed, mixed=True)
    print(f"{OVERLOAD}: {plain}\n{OVERLOAD}, with priorities mixed: {mixed}")
    failures = plain.failures + mixed.failures_of_order
    for failure in failures:
        print(f"{OVERLOAD}: {failure}", flush=True)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
