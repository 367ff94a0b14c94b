"""Progbar: how far a loop is, with values: a bar on a terminal, one line at the end elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any


class Progbar:
    """Shows the progress of a loop.

    Args:
        target: how many steps there will be; None: unknown.
        width: of the bar, in characters.
        verbose: 0: nothing, 1: a bar (where output is a terminal), 2: a line at the end.
        interval: seconds between two drawings at the least.
        stateful_metrics: unused since all values are shown as given; taken for Keras's sake.
        stateless_metrics: names whose values are averaged over steps here.
        unit_name: what a step is called.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.seen = 0
        self._averaged = set(stateless_metrics or ())
        self._sums: dict[str, tuple[float, int]] = {}
        self._values: dict[str, float] = {}
        self._start = time.monotonic()
        self._drawn = 0.0
        self._draws = verbose == 1 and sys.stdout.isatty()
        self._bar: Any = None
        self._task: Any = None

    def due(self) -> bool:
        """Whether the next update will draw, so that values are worth reading."""
        return self._draws and time.monotonic() - self._drawn >= self.interval

    def update(
        self, current: int, values: Iterable[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """Sets the progress.

        Args:
            current: steps done.
            values: pairs of name and value.
            finalize: whether this is the end; default: when `current` reaches the target.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            self._take(name, float(value), current - self.seen)
        self.seen = current
        if self._draws:
            if finalize or time.monotonic() - self._drawn >= self.interval:
                self._draw(finalize)
        elif finalize and self.verbose:
            steps = f"{current}/{self.target or current}"
            print(f"{steps} - {time.monotonic() - self._start:.0f}s - {self._details()}", flush=True)

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Moves on by `n` steps."""
        self.update(self.seen + n, values)

    def _take(self, name: str, value: float, steps: int) -> None:
        if name in self._averaged:
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + value * max(steps, 1), count + max(steps, 1)
            value = self._sums[name][0] / self._sums[name][1]
        self._values[name] = value

    def _details(self) -> str:
        seconds = (time.monotonic() - self._start) / max(self.seen, 1)
        parts = [f"{_duration(seconds)}/{self.unit_name}"]
        parts += [f"{name}: {_number(value)}" for name, value in self._values.items()]
        return " - ".join(parts)

    def _draw(self, finalize: bool) -> None:
        if self._bar is None:
            from rich.progress import BarColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("{task.fields[steps]}"),
                BarColumn(bar_width=self.width),
                TextColumn("{task.fields[details]}", markup=False),
                auto_refresh=False,
            )
            self._task = self._bar.add_task("", total=self.target, steps="", details="")
            self._bar.start()
        total = self.target if self.target is not None else (self.seen if finalize else None)
        steps = f"{self.seen}/{'?' if total is None else total}"
        if total is not None and self.seen and not finalize:
            left = (time.monotonic() - self._start) / self.seen * (total - self.seen)
            timing = f"{left:.0f}s left"
        else:
            timing = f"{time.monotonic() - self._start:.0f}s"
        self._bar.update(
            self._task,
            completed=self.seen,
            total=total,
            steps=steps,
            details=f"{timing} {self._details()}",
            refresh=True,
        )
        self._drawn = time.monotonic()
        if finalize:
            self._bar.stop()
            self._bar = None


def _duration(seconds: float) -> str:
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.0f}ms"
    return f"{seconds * 1e6:.0f}us"


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"
