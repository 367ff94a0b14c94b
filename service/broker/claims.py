"""In which order a worker looks for its next batch on one partition, so that nothing starves."""

import enum
from collections.abc import Mapping
from typing import Any

# Payloads come with a claim up to so many bytes together; the rest is read in a second go, beside which others are
# served: copying them inside of the script would hold everybody up.
INLINE_BYTES = 64 * 1024
# By turns: 0 looks for high first, 1 for normal, 2 for low, and for the others as they follow.
TURNS = (0, 0, 0, 1, 0, 0, 0, 2)


class Mode(enum.IntEnum):
    """What a claim does where nothing waits, and what it must not take."""

    LOOK = 0
    WAIT = 1  # from then on a job may be handed over
    AHEAD = 2  # another batch is computed meanwhile: takes no job that was with a lost worker


class Claims:
    """Takes turns among priorities, and within each turn among queues.

    Attributes:
        queues: names of the queues served.
    """

    def __init__(self, max_batches: Mapping[str, int]) -> None:
        """`max_batches`: by queue, the most jobs in a batch of it."""
        self.queues = tuple(max_batches)
        pairs = list(max_batches.items())
        self._rotations = [
            tuple(part for pair in pairs[first:] + pairs[:first] for part in pair) for first in range(len(pairs))
        ] or [()]
        self._batches = 0
        # Each turn goes round the queues on its own: with one count for all, some would never meet.
        self._batches_of_turn = [0, 0, 0]

    def arguments(self, number: int, lease_ms: int, mode: Mode) -> tuple[Any, ...]:
        """Of the script that claims the batch of this number; the same until `taken`."""
        turn = TURNS[self._batches % len(TURNS)]
        pairs = self._rotations[self._batches_of_turn[turn] % len(self._rotations)]
        return (number, lease_ms, INLINE_BYTES, turn, int(mode), *pairs)

    def taken(self) -> None:
        """A batch was claimed: it is the next one's turn."""
        self._batches_of_turn[TURNS[self._batches % len(TURNS)]] += 1
        self._batches += 1
