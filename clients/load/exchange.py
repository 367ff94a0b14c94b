"""One request and what became of it."""

from __future__ import annotations

from enum import IntEnum

from clients.load.outcomes import Ending, Expectation, Verdict


class Tail(IntEnum):
    """What follows the bytes of a request."""

    NOTHING = 0
    """The answer, and the next request."""
    HALF_CLOSE = 1
    """We shut down our side of the connection."""
    STALL = 2
    """Nothing, though more was announced."""
    STREAM = 3
    """More and more of the same, until the other side ends it."""


class Exchange:
    """A request, and how it ended. Moments are `time.monotonic()`'s.

    Attributes:
        number: Counts the requests of a run from 0.
        content: The bytes to send.
        picture: Name of the image: its number or its file.
        expectation: What is right.
        form: How the image is sent: multipart, raw or json.
        url: Index of the URL that it goes to.
        priority: As in `X-Priority`; empty where the header is not sent.
        malformed: What is wrong with it on purpose; empty: nothing.
        tail: What follows the content.
        hangs_up_after_s: Seconds after sending when we hang up on purpose; None: never.
        planned: When it was due.
        sent: When its first byte was sent; equals `ended` where none was.
        ended: When it ended.
        ending: How it ended.
        status: HTTP status; 0 without an answer.
        code: The service's code of an error; empty without.
        label: The first label of the predictions; None without.
        retry_after_s: `Retry-After`; None without.
        reused: Whether the connection had answered before.
    """

    __slots__ = (
        "code",
        "content",
        "ended",
        "ending",
        "expectation",
        "form",
        "hangs_up_after_s",
        "label",
        "malformed",
        "number",
        "picture",
        "planned",
        "priority",
        "retry_after_s",
        "reused",
        "sent",
        "status",
        "tail",
        "url",
    )

    def __init__(
        self,
        number: int,
        content: bytes,
        expectation: Expectation,
        *,
        picture: int | str = "",
        form: str = "raw",
        url: int = 0,
        priority: str = "",
        malformed: str = "",
        tail: Tail = Tail.NOTHING,
        hangs_up_after_s: float | None = None,
        planned: float = 0.0,
    ) -> None:
        self.number = number
        self.content = content
        self.expectation = expectation
        self.picture = picture
        self.form = form
        self.url = url
        self.priority = priority
        self.malformed = malformed
        self.tail = tail
        self.hangs_up_after_s = hangs_up_after_s
        self.planned = planned
        self.sent = planned
        self.ended = planned
        self.ending = Ending.UNSENT
        self.status = 0
        self.code = ""
        self.label: str | None = None
        self.retry_after_s: float | None = None
        self.reused = False

    @property
    def verdict(self) -> Verdict:
        """What its ending is worth."""
        return self.expectation.verdict(self.ending, self.status, self.label)
