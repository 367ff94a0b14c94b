"""The description of a plan: a table of its steps."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any


def print_description(title: str, rows: Sequence[dict[str, Any]], print_fn: Callable[[str], Any] | None = None) -> None:
    """Prints what `Plan.describe` gives.

    Args:
        title: the line above the table.
        rows: one for each step.
        print_fn: given the whole text; default: print it.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    timed = any("milliseconds" in row for row in rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, justify in _columns(timed):
        table.add_column(name, justify=justify, overflow="fold")
    for index, row in enumerate(rows):
        cells = [
            str(index),
            row["primitive"],
            row["kernel"],
            row["implementation"],
            ", ".join(map(_shape, row["inputs"])),
            ", ".join(map(_shape, row["outputs"])),
            f"{row['bytes']:,}",
        ]
        if timed:
            cells.append(f"{row['milliseconds']:.3f}")
        table.add_row(*(Text(cell) for cell in cells))
    out = sys.stdout
    console = Console(file=out, width=None if print_fn is None and out.isatty() else 240, highlight=False)
    with console.capture() as captured:
        console.print(Text(title))
        console.print(table)
        console.print(Text(_totals(rows, timed)))
    if print_fn is not None:
        print_fn(captured.get())
    else:
        out.write(captured.get())
        out.flush()


def _columns(timed: bool) -> list[tuple[str, Any]]:
    columns: list[tuple[str, Any]] = [("", "right"), ("node", "left"), ("kernel", "left"), ("implementation", "left")]
    columns += [("inputs", "left"), ("outputs", "left"), ("bytes", "right")]
    return [*columns, ("ms", "right")] if timed else columns


def _shape(shape: tuple[int, ...]) -> str:
    return "\N{MULTIPLICATION SIGN}".join(map(str, shape)) or "1"


def _totals(rows: Sequence[dict[str, Any]], timed: bool) -> str:
    by_kernel: dict[str, int] = {}
    for row in rows:
        by_kernel[row["kernel"]] = by_kernel.get(row["kernel"], 0) + 1
    text = f"{len(rows)} steps: " + ", ".join(f"{count} {kernel}" for kernel, count in by_kernel.items())
    if timed:
        text += f"; {sum(row['milliseconds'] for row in rows):.3f} ms"
    return text
