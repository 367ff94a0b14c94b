"""Percentiles of durations: exact over many samples, within 0.1 % and in bounded memory over any number."""

from __future__ import annotations

import math
from array import array

EXACT_SAMPLES = 2_000_000
"""So many samples are kept as they are (8 bytes each); with more, they are counted in buckets."""

_STEPS = 1000  # buckets to a factor of e: neighbours differ by 0.1 %
_SMALLEST_S = 1e-6


class Latencies:
    """Collects durations in seconds.

    Args:
        exact_samples: After so many, samples are counted in buckets that are 0.1 % wide.
    """

    def __init__(self, exact_samples: int = EXACT_SAMPLES) -> None:
        self._exact_samples = exact_samples
        self._samples = array("d")
        self._counts: dict[int, int] = {}
        self._count = 0
        self._sum = 0.0
        self._largest = 0.0
        self._is_sorted = True

    def __len__(self) -> int:
        return self._count

    def add(self, seconds: float) -> None:
        """Add a sample."""
        self._count += 1
        self._sum += seconds
        if seconds > self._largest:
            self._largest = seconds
        if self._counts:
            self._bucket(seconds)
            return
        self._samples.append(seconds)
        self._is_sorted = False
        if self._count > self._exact_samples:
            for sample in self._samples:
                self._bucket(sample)
            self._samples = array("d")

    @property
    def largest(self) -> float:
        """The largest sample; 0 where there is none."""
        return self._largest

    @property
    def mean(self) -> float:
        """The mean; NaN where there is no sample."""
        return self._sum / self._count if self._count else math.nan

    def percentile(self, percent: float) -> float:
        """Return the smallest sample that `percent` of all samples do not exceed; NaN where there is none.

        Raises:
            ValueError: `percent` is not above 0 and up to 100.
        """
        if not 0 < percent <= 100:
            raise ValueError(f"expected a percentage above 0 and up to 100, got {percent}")
        if not self._count:
            return math.nan
        # Rounded, since 0.999 * 1000 is a little more than 999.
        rank = max(1, math.ceil(round(percent / 100 * self._count, 6)))
        if rank == self._count:
            return self._largest
        if not self._counts:
            if not self._is_sorted:
                self._samples = array("d", sorted(self._samples))
                self._is_sorted = True
            return self._samples[rank - 1]
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                break
        return min(self._largest, _SMALLEST_S * math.exp((bucket + 0.5) / _STEPS))

    def _bucket(self, seconds: float) -> None:
        bucket = math.floor(math.log(max(seconds, _SMALLEST_S) / _SMALLEST_S) * _STEPS)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
