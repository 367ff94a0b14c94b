"""Rounds in which the contestants take turns, and the medians of what they measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

Figures = dict[str, float]
"""What one contestant measured in one round, by name."""


def alternate(rounds: int, contestants: Mapping[str, Callable[[], Figures]]) -> dict[str, list[Figures]]:
    """Run every contestant once a round, and return its figures of all rounds.

    The order turns around from round to round, so that a machine that gets slower or faster favours none.
    """
    if rounds < 1:
        raise ValueError(f"expected 1 round or more, got {rounds}")
    measured: dict[str, list[Figures]] = {name: [] for name in contestants}
    for number in range(rounds):
        names = list(contestants)
        for name in names if number % 2 == 0 else reversed(names):
            measured[name].append(contestants[name]())
    return measured


def median(figures: Sequence[Figures], name: str) -> float:
    """Median over the rounds."""
    return statistics.median(one[name] for one in figures)


def spread(figures: Sequence[Figures], name: str) -> str:
    """Lowest and highest of the rounds."""
    values = [one[name] for one in figures]
    return f"{min(values):.4g} to {max(values):.4g}"


def median_of_ratios(ours: Sequence[Figures], theirs: Sequence[Figures], name: str) -> float:
    """Median over the rounds of ours divided by theirs of the same round."""
    return statistics.median(our[name] / their[name] for our, their in zip(ours, theirs, strict=True))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows of text and numbers, the first column to the left and the others to the right."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row))
    # A terminal's width would cut figures off in a log.
    Console(width=max(200, Console().width)).print(table)
