"""The ledger: every request that was sent, and what became of it; in memory, and in a file as JSON lines."""

from __future__ import annotations

import json
import math
import time
from array import array
from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from types import TracebackType
from typing import IO, Generic, NamedTuple, TypeVar

from clients.load.exchange import Exchange
from clients.load.outcomes import Ending, Expectation, Verdict

Value = TypeVar("Value")

_BUFFER_BYTES = 256 * 1024


class Row(NamedTuple):
    """A request and what became of it; as `Exchange` has it."""

    number: int
    picture: int | str
    expectation: Expectation
    form: str
    url: int
    priority: str
    malformed: str
    planned: float
    sent: float
    ended: float
    ending: Ending
    status: int
    code: str
    label: str | None
    retry_after_s: float | None
    reused: bool

    @property
    def verdict(self) -> Verdict:
        """What its ending is worth."""
        return self.expectation.verdict(self.ending, self.status, self.label)


class _Names(Generic[Value]):
    """Few values, each kept once, by index."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._indices: dict[Value, int] = {}

    def index(self, value: Value) -> int:
        found = self._indices.get(value)
        if found is None:
            found = self._indices[value] = len(self.values)
            self.values.append(value)
        return found


class Ledger:
    """Keeps requests in some 50 bytes each; a context manager that closes the file.

    Args:
        path: A file to write as well, a line a request once it has ended; None: none.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self._file: IO[str] | None = open(path, "w", _BUFFER_BYTES, "ascii") if path is not None else None  # noqa: SIM115
        self._numbers = array("I")
        self._planned = array("d")
        self._sent = array("d")
        self._ended = array("d")
        self._retry_after = array("f")
        self._pictures = array("q")
        self._kinds = array("I")
        self._statuses = array("H")
        self._answers = array("I")
        self._endings = array("B")
        self._picture_names: _Names[str] = _Names()
        # What few requests have in common is kept once: what was sent how, and what came.
        self._kind_names: _Names[tuple[Expectation, str, int, str, str]] = _Names()
        self._answer_names: _Names[tuple[str | None, str, bool]] = _Names()
        self._seen = bytearray()
        self.twice = 0
        """Requests that were recorded more than once, and answers that no request had asked for."""
        if self._file is not None:
            head = {"ledger": 1, "monotonic": time.monotonic(), "unix": time.time()}
            self._file.write(json.dumps(head) + "\n")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._numbers)

    def close(self) -> None:
        """Write what is still to be written, and close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def missing(self) -> int:
        """Numbers that were never recorded: requests without an outcome."""
        return self._seen.count(0)

    def expect(self, requests: int) -> None:
        """Say how many requests there were: numbers 0 to `requests` - 1."""
        self._seen.extend(bytes(max(0, requests - len(self._seen))))

    def add(self, exchange: Exchange) -> None:
        """Record a request that has ended."""
        number = exchange.number
        seen = self._seen
        if number >= len(seen):
            self.expect(number + 1)
        if seen[number]:
            self.twice += 1
        seen[number] = 1
        self._numbers.append(number)
        self._planned.append(exchange.planned)
        self._sent.append(exchange.sent)
        self._ended.append(exchange.ended)
        retry_after = exchange.retry_after_s
        self._retry_after.append(math.nan if retry_after is None else retry_after)
        picture = exchange.picture
        self._pictures.append(picture if isinstance(picture, int) else -1 - self._picture_names.index(picture))
        self._kinds.append(
            self._kind_names.index(
                (exchange.expectation, exchange.form, exchange.url, exchange.priority, exchange.malformed)
            )
        )
        self._statuses.append(exchange.status)
        self._answers.append(self._answer_names.index((exchange.label, exchange.code, exchange.reused)))
        self._endings.append(exchange.ending)
        if self._file is not None:
            self._file.write(_line(exchange))

    def rows(self) -> Iterator[Row]:
        """Yield all requests in the order in which they ended."""
        kinds: Sequence[tuple[Expectation, str, int, str, str]] = self._kind_names.values
        names: Sequence[str] = self._picture_names.values
        for i, number in enumerate(self._numbers):
            expectation, form, url, priority, malformed = kinds[self._kinds[i]]
            label, code, reused = self._answer_names.values[self._answers[i]]
            picture = self._pictures[i]
            retry_after = self._retry_after[i]
            yield Row(
                number,
                picture if picture >= 0 else names[-1 - picture],
                expectation,
                form,
                url,
                priority,
                malformed,
                self._planned[i],
                self._sent[i],
                self._ended[i],
                Ending(self._endings[i]),
                self._statuses[i],
                code,
                label,
                None if math.isnan(retry_after) else retry_after,
                reused,
            )


def _line(exchange: Exchange) -> str:
    """Write an exchange as JSON; by hand, for it is done for each while others are measured."""
    picture, label, retry_after = exchange.picture, exchange.label, exchange.retry_after_s
    expected = exchange.expectation.label
    return (
        f'{{"number":{exchange.number}'
        f',"picture":{picture if isinstance(picture, int) else quoted(picture)}'
        f',"expected":{"null" if expected is None else quoted(expected)}'
        f',"right":{sorted(exchange.expectation.statuses)}'
        f',"form":"{exchange.form}","url":{exchange.url},"priority":{quoted(exchange.priority)}'
        f',"malformed":{quoted(exchange.malformed)}'
        f',"planned":{exchange.planned:.6f},"sent":{exchange.sent:.6f},"ended":{exchange.ended:.6f}'
        f',"ending":"{_ENDING_NAMES[exchange.ending]}","status":{exchange.status},"code":{quoted(exchange.code)}'
        f',"label":{"null" if label is None else quoted(label)}'
        f',"retry_after_s":{"null" if retry_after is None else format(retry_after, "g")}'
        f',"reused":{"true" if exchange.reused else "false"}'
        f',"verdict":"{_VERDICT_NAMES[exchange.verdict]}"}}\n'
    )


_ENDING_NAMES = tuple(ending.name.lower() for ending in Ending)
_VERDICT_NAMES = tuple(verdict.name.lower() for verdict in Verdict)
