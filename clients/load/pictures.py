"""The images that are sent, each with what is right for it: numbered ones, or files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from clients.load import numbered
from clients.load.outcomes import OK_STATUSES


class Picture(NamedTuple):
    """An image to send.

    Attributes:
        content: The bytes of the file.
        name: What the ledger calls it: a number, or the name of a file.
        label: The label that is right for it; None: any.
        statuses: The statuses that are right for it.
    """

    content: bytes
    name: int | str
    label: str | None = None
    statuses: frozenset[int] = OK_STATUSES


class Pictures(Protocol):
    """Where images come from; called once for each request."""

    def take(self) -> Picture:
        """Return the next image."""
        ...


class NumberedPictures:
    """Images of numbers one after another, over and over.

    Args:
        first: The first number.
        count: How many numbers; None: all that there are.
        encode: Writes the image of a number; a PNG file by default.

    Raises:
        ValueError: there are no such numbers.
    """

    def __init__(
        self, first: int = 0, count: int | None = None, encode: Callable[[int], bytes] = numbered.encode
    ) -> None:
        count = numbered.NUMBERS - first if count is None else count
        if first < 0 or count < 1 or first + count > numbered.NUMBERS:
            raise ValueError(f"expected numbers from 0 to {numbered.NUMBERS - 1}, got {count} from {first} on")
        self._first = first
        self._end = first + count
        self._next = first
        self._encode = encode

    def take(self) -> Picture:
        """Return the image of the next number."""
        number = self._next
        self._next = number + 1 if number + 1 < self._end else self._first
        return Picture(self._encode(number), number, numbered.label_of(number))


class FilePictures:
    """A few images in turns.

    Args:
        pictures: The images.

    Raises:
        ValueError: there are none.
    """

    def __init__(self, pictures: Sequence[Picture]) -> None:
        if not pictures:
            raise ValueError("expected an image or more, got none")
        self._pictures = tuple(pictures)
        self._next = 0

    def take(self) -> Picture:
        """Return the next image."""
        picture = self._pictures[self._next]
        self._next = (self._next + 1) % len(self._pictures)
        return picture
