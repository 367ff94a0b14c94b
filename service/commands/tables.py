"""Text for terminals: columns side by side, and foreign text without control characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> Iterator[str]:
    """The rows as lines whose columns are as wide as their longest cell.

    Args:
        rows: Of equal length. right: Numbers of the columns that are set flush right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            text.rjust(width) if number in right else text.ljust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def printable(text: str) -> str:
    """Text of a file in which nothing moves the cursor or changes colours."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def size_text(count: int) -> str:
    """Bytes for people, such as `5.0 MB`."""
    if count < 1000:
        return f"{count} B"
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}"


def shape_text(shape: Sequence[int | None] | None) -> str:
    """Lengths of the axes, such as `? x 224 x 224 x 3`."""
    if shape is None:
        return ""
    return " x ".join("?" if length is None else str(length) for length in shape) or "one number"
