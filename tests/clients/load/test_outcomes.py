"""Verdicts: what an ending is worth, given what was right."""

from __future__ import annotations

import pytest

from clients.load.outcomes import Ending, Expectation, Verdict

SEVEN = Expectation("7")
CULPRIT = Expectation(None, frozenset({500}))
MALFORMED = Expectation("7", frozenset({400}))
HALF_CLOSED = Expectation("7", frozenset({400}), may_close=True)


@pytest.mark.parametrize(
    ("expectation", "status", "label", "verdict"),
    [
        (SEVEN, 200, "7", Verdict.OK),
        (SEVEN, 200, "8", Verdict.WRONG),
        (SEVEN, 200, None, Verdict.WRONG),
        (Expectation(), 200, "8", Verdict.OK),
        (SEVEN, 503, None, Verdict.UNAVAILABLE),
        (SEVEN, 504, None, Verdict.UNAVAILABLE),
        (SEVEN, 500, None, Verdict.FAILED),
        (SEVEN, 400, None, Verdict.WRONG),
        (CULPRIT, 500, None, Verdict.OK),
        (CULPRIT, 200, "7", Verdict.WRONG),
        (MALFORMED, 400, None, Verdict.OK),
        (MALFORMED, 200, "7", Verdict.WRONG),
        (MALFORMED, 500, None, Verdict.WRONG),
        (MALFORMED, 503, None, Verdict.UNAVAILABLE),
        (MALFORMED, 504, None, Verdict.WRONG),
    ],
)
def test_answers(expectation: Expectation, status: int, label: str | None, verdict: Verdict) -> None:
    assert expectation.verdict(Ending.ANSWERED, status, label) == verdict


@pytest.mark.parametrize(
    ("expectation", "ending", "verdict"),
    [
        (SEVEN, Ending.CLOSED, Verdict.BROKEN),
        (SEVEN, Ending.RESET, Verdict.BROKEN),
        (SEVEN, Ending.RESET_BEFORE, Verdict.BROKEN),
        (SEVEN, Ending.REFUSED, Verdict.BROKEN),
        (SEVEN, Ending.TIMEOUT, Verdict.SILENT),
        (SEVEN, Ending.GARBLED, Verdict.WRONG),
        (SEVEN, Ending.HUNG_UP, Verdict.HUNG_UP),
        (SEVEN, Ending.UNSENT, Verdict.UNSENT),
        (MALFORMED, Ending.CLOSED, Verdict.BROKEN),
        (HALF_CLOSED, Ending.CLOSED, Verdict.OK),
        (HALF_CLOSED, Ending.RESET_BEFORE, Verdict.OK),
        (HALF_CLOSED, Ending.REFUSED, Verdict.BROKEN),
        (HALF_CLOSED, Ending.TIMEOUT, Verdict.SILENT),
    ],
)
def test_endings_without_an_answer(expectation: Expectation, ending: Ending, verdict: Verdict) -> None:
    assert expectation.verdict(ending, 0, None) == verdict
