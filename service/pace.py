"""How long things took: what a worker expects of its next batch."""

from __future__ import annotations

MEAN_GAIN = 1 / 8
DEVIATION_GAIN = 1 / 4


class Duration:
    """A moving mean of a duration and of its deviation, in seconds, as TCP keeps them of round trips."""

    __slots__ = ("deviation_s", "mean_s")

    def __init__(self, first_s: float) -> None:
        self.mean_s = first_s
        self.deviation_s = first_s / 2

    def add(self, seconds: float) -> None:
        """Take in one more measurement."""
        error = seconds - self.mean_s
        self.mean_s += MEAN_GAIN * error
        self.deviation_s += DEVIATION_GAIN * (abs(error) - self.deviation_s)

    @property
    def at_most_s(self) -> float:
        """What is hardly ever exceeded."""
        return self.mean_s + 2 * self.deviation_s

    @property
    def at_least_s(self) -> float:
        """What mostly passes; not below 0."""
        return max(0.0, self.mean_s - self.deviation_s)


class Pace:
    """How long one model computes, by the number of images in a batch."""

    def __init__(self) -> None:
        self._durations: dict[int, Duration] = {}

    def add(self, images: int, seconds: float) -> None:
        """Take in that a batch of so many images took so long."""
        duration = self._durations.get(images)
        if duration is None:
            self._durations[images] = Duration(seconds)
        else:
            duration.add(seconds)

    def at_least_s(self, images: int) -> float:
        """Seconds that a batch of so many images takes at least; 0 where nothing is known yet."""
        known = self._durations.get(images)
        if known is not None:
            return known.at_least_s
        if not self._durations:
            return 0.0
        nearest = min(self._durations, key=lambda size: abs(size - images))
        return self._durations[nearest].at_least_s * min(1.0, images / nearest)
