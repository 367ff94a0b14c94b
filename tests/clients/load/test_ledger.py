"""The ledger: what goes in comes out, from memory and from the file; what comes twice or never is seen."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from clients.load.exchange import Exchange
from clients.load.ledger import Ledger
from clients.load.outcomes import Ending, Expectation, Verdict


def exchange(number: int, **fields: object) -> Exchange:
    """One that was answered with 200, but for `fields`."""
    made = Exchange(number, b"", Expectation("042"), picture=number)
    made.planned, made.sent, made.ended = 10.0 + number, 10.5 + number, 11.0 + number
    made.ending, made.status, made.label = Ending.ANSWERED, 200, "042"
    for name, value in fields.items():
        setattr(made, name, value)
    return made


CUT = Expectation(None, frozenset({400, 408}))
VARIED = [
    exchange(0),
    exchange(2, picture='dir/ä"\n.png', form="json", url=3, priority="high", reused=True),
    exchange(1, status=503, label=None, code="queue_full", retry_after_s=2.0),
    exchange(3, ending=Ending.RESET, status=0, label=None, malformed="cut", expectation=CUT),
]


def test_rows_are_what_was_added_in_the_order_of_ending() -> None:
    ledger = Ledger()
    for each in VARIED:
        ledger.add(each)
    rows = list(ledger.rows())
    assert len(ledger) == len(rows) == len(VARIED)
    for row, added in zip(rows, VARIED, strict=True):
        for name in row._fields:
            assert getattr(row, name) == getattr(added, name), name
        assert row.verdict == added.verdict
    assert (ledger.twice, ledger.missing) == (0, 0)


def test_the_file_says_the_same_in_lines_of_json(tmp_path: Path) -> None:
    before = time.time()
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        for each in VARIED:
            ledger.add(each)
    head, *lines = map(json.loads, (tmp_path / "ledger.jsonl").read_text().splitlines())
    assert head["ledger"] == 1
    assert before <= head["unix"] <= time.time()
    assert head["monotonic"] <= time.monotonic()
    for line, row in zip(lines, ledger.rows(), strict=True):
        expectation = {"expected": row.expectation.label, "right": sorted(row.expectation.statuses)}
        said = {**row._asdict(), **expectation, "ending": row.ending.name.lower(), "verdict": row.verdict.name.lower()}
        del said["expectation"]
        assert line == said


def test_a_request_recorded_twice_is_counted() -> None:
    ledger = Ledger()
    for number in (0, 1, 1):
        ledger.add(exchange(number))
    assert ledger.twice == 1


def test_a_request_never_recorded_is_counted() -> None:
    ledger = Ledger()
    ledger.add(exchange(0))
    ledger.add(exchange(3))
    assert ledger.missing == 2
    ledger.expect(6)
    assert ledger.missing == 4


def test_a_file_that_cannot_be_written_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        Ledger(tmp_path / "missing" / "ledger.jsonl")


def test_verdicts_come_from_what_was_expected() -> None:
    ledger = Ledger()
    ledger.add(exchange(0, label="043"))
    assert [row.verdict for row in ledger.rows()] == [Verdict.WRONG]
