"""How a request can end, what is right for it, and the verdict on what came."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

OK_STATUSES = frozenset({200})

# Explicit refusals and deadlines: clear errors, whatever was asked, but no predictions. 502 is a proxy's.
_UNAVAILABLE = frozenset({429, 502, 503, 504})


class Ending(IntEnum):
    """How a request ended."""

    ANSWERED = 0
    """A whole answer came."""
    REFUSED = 1
    """No connection could be made."""
    RESET_BEFORE = 2
    """The connection broke before the whole request was sent."""
    RESET = 3
    """The connection was reset after the request was sent."""
    CLOSED = 4
    """The connection was closed without a whole answer."""
    TIMEOUT = 5
    """Nothing came in time."""
    GARBLED = 6
    """What came was not HTTP."""
    HUNG_UP = 7
    """We hung up on purpose."""
    UNSENT = 8
    """All connections were in use at its moment; it was not sent."""


BROKEN_ENDINGS = frozenset({Ending.REFUSED, Ending.RESET_BEFORE, Ending.RESET, Ending.CLOSED})


class Verdict(IntEnum):
    """What an ending is worth."""

    OK = 0
    """What was expected."""
    UNAVAILABLE = 1
    """A clear refusal: 429, 502, 503 or 504."""
    FAILED = 2
    """Another 5xx."""
    WRONG = 3
    """The label of another image, or a status that is not right for the request."""
    BROKEN = 4
    """The connection broke; whether that is a loss, the audit decides."""
    SILENT = 5
    """No answer in time: lost."""
    HUNG_UP = 6
    """Nobody waited for the answer."""
    UNSENT = 7
    """Never sent."""


class Expectation(NamedTuple):
    """What is right for a request.

    Attributes:
        label: The label that an answer with status 200 must have first; None: any.
        statuses: The right statuses.
        may_close: Whether a closed connection is right as well.
    """

    label: str | None = None
    statuses: frozenset[int] = OK_STATUSES
    may_close: bool = False

    @property
    def is_prediction(self) -> bool:
        """Whether predictions are the one right answer."""
        return self.statuses == OK_STATUSES

    def verdict(self, ending: Ending, status: int, label: str | None) -> Verdict:
        """Judge an ending; `status` and `label` are those of the answer, if one came."""
        if ending == Ending.ANSWERED:
            return self._verdict_of_answer(status, label)
        if ending in BROKEN_ENDINGS:
            # One that was refused the connection never was a request.
            return Verdict.OK if self.may_close and ending != Ending.REFUSED else Verdict.BROKEN
        return _VERDICTS[ending]

    def _verdict_of_answer(self, status: int, label: str | None) -> Verdict:
        if status in self.statuses:
            right = status != 200 or self.label is None or self.label == label
            return Verdict.OK if right else Verdict.WRONG
        # What cannot become a job cannot miss a deadline.
        if status in _UNAVAILABLE and (status != 504 or 200 in self.statuses):
            return Verdict.UNAVAILABLE
        return Verdict.FAILED if status >= 500 and self.is_prediction else Verdict.WRONG


_VERDICTS = {
    Ending.TIMEOUT: Verdict.SILENT,
    Ending.GARBLED: Verdict.WRONG,
    Ending.HUNG_UP: Verdict.HUNG_UP,
    Ending.UNSENT: Verdict.UNSENT,
}
