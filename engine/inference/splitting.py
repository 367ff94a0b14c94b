"""How many rows go through which plan: the cheapest way to cover n rows with plans of fixed batch sizes."""

from __future__ import annotations

from collections.abc import Mapping


class Splitter:
    """Covers any number of rows with the built batch sizes, by their measured seconds a run.

    A run may be padded, so n rows need runs whose sizes add up to n at least.
    """

    def __init__(self, seconds: Mapping[int, float]) -> None:
        if not seconds:
            raise ValueError("At least one batch size is needed.")
        self._seconds = dict(sorted(seconds.items()))
        self._cost = [0.0]
        self._choice = [0]
        self._largest = max(self._seconds)
        self._best_rate = min(self._seconds, key=lambda size: (self._seconds[size] / size, -size))

    def split(self, rows: int) -> list[int]:
        """Batch sizes for `rows` rows, largest first; only the last run is padded."""
        runs: list[int] = []
        # Far from the end nothing beats the size that is cheapest a row; the rest is found exactly.
        while rows > 8 * self._largest:
            runs.append(self._best_rate)
            rows -= self._best_rate
        self._extend(rows)
        while rows > 0:
            size = self._choice[rows]
            runs.append(size)
            rows -= size
        return sorted(runs, reverse=True)

    def _extend(self, rows: int) -> None:
        for count in range(len(self._cost), rows + 1):
            cost, size = min(
                (seconds + self._cost[max(0, count - size)], size) for size, seconds in self._seconds.items()
            )
            self._cost.append(cost)
            self._choice.append(size)
