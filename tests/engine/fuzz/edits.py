"""Edits: small changes of a file, each of a kind, at a place and with a choice, which are numbers of any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies

Item = TypeVar("Item")
LARGEST = (1 << 32) - 1


class Edit(NamedTuple):
    """One change: what is done is the kind's business, `place` says where and `choice` how."""

    kind: str
    place: int
    choice: int


def several(kinds: Mapping[str, Any], at_most: int = 4) -> strategies.SearchStrategy[list[Edit]]:
    """Lists of edits of some kinds."""
    numbers = strategies.integers(0, LARGEST)
    edit = strategies.builds(Edit, strategies.sampled_from(sorted(kinds)), numbers, numbers)
    return strategies.lists(edit, min_size=1, max_size=at_most)


def chosen(items: Sequence[Item], number: int) -> Item:
    """One of some items; large and small numbers alike fall on any."""
    return items[(number * 2654435761 >> 7) % len(items)]


# Bytes ----------------------------------------------------------------------------------------------------------------


def _span(content: bytearray, edit: Edit) -> tuple[int, int]:
    start = edit.place % (len(content) + 1)
    return start, start + 1 + edit.choice % 64


def _truncated(content: bytearray, edit: Edit) -> None:
    del content[edit.place % (len(content) + 1) :]


def _flipped(content: bytearray, edit: Edit) -> None:
    if content:
        content[edit.place % len(content)] ^= 1 << edit.choice % 8


def _overwritten(content: bytearray, edit: Edit) -> None:
    start, end = _span(content, edit)
    filling = chosen((b"\x00", b"\xff", b"\x7f", b"\x80", b"A", b"\x01\x00"), edit.choice)
    content[start:end] = (filling * 64)[: max(0, min(end, len(content)) - start)]


def _cut_out(content: bytearray, edit: Edit) -> None:
    start, end = _span(content, edit)
    del content[start:end]


def _doubled(content: bytearray, edit: Edit) -> None:
    start, end = _span(content, edit)
    content[start:start] = content[start:end]


def _moved(content: bytearray, edit: Edit) -> None:
    start, end = _span(content, edit)
    piece = bytes(content[start:end])
    target = edit.choice % (len(content) + 1)
    content[target : target + len(piece)] = piece


BYTES: dict[str, Callable[[bytearray, Edit], None]] = {
    "cut out": _cut_out,
    "doubled": _doubled,
    "flipped": _flipped,
    "moved": _moved,
    "overwritten": _overwritten,
    "truncated": _truncated,
}


def bytes_edited(content: bytes, edits: Sequence[Edit]) -> bytes:
    """Bytes after some edits of the kinds `BYTES`; others are passed over."""
    changed = bytearray(content)
    for edit in edits:
        if edit.kind in BYTES:
            BYTES[edit.kind](changed, edit)
    return bytes(changed)
