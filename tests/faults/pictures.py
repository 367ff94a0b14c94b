"""The images of the tests: numbered ones, with such as break the model among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from clients.load import numbered
from clients.load.pictures import NumberedPictures, Picture
from tests.faults.behaviour import Marker

FAILED = frozenset({500})


class PoisonedPictures:
    """Numbered images; after every `every` of them come some that break the model, until all of those were taken.

    Args:
        culprits: groups of markers; those of a group come one right after the other.
        every: how many harmless ones come in between.
    """

    def __init__(self, culprits: Sequence[Sequence[Marker]], every: int) -> None:
        self._harmless = NumberedPictures()
        self._groups = [list(group) for group in culprits]
        self._every = every
        self._until_next = every
        self._taken: Counter[Marker] = Counter()

    def take(self) -> Picture:
        """Return the next image."""
        if self._until_next > 0 or not self._groups:
            self._until_next -= 1
            return self._harmless.take()
        group = self._groups[0]
        marker = group.pop(0)
        if not group:
            del self._groups[0]
            self._until_next = self._every
        number = marker.number(self._taken[marker])
        self._taken[marker] += 1
        return Picture(numbered.encode(number), number, None, FAILED)
