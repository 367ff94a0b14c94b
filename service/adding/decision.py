"""One thing that was settled about a model on its way into the repository, with the reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """What was settled.

    Attributes:
        subject: Such as `preprocessing`.
        value: Such as `caffe`.
        reason: Why so, in a few words.
        flag: Which flag of the command decides otherwise; empty where none can, or where it was given.
    """

    subject: str
    value: str
    reason: str
    flag: str = ""

    def __str__(self) -> str:
        change = f"; {self.flag} changes it" if self.flag else ""
        return f"{self.subject}: {self.value} ({self.reason}{change})"
