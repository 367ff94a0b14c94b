"""The moments of an open loop: arrivals that do not wait for answers."""

from __future__ import annotations

import random
from collections.abc import Iterator


def poisson(rate: float, seed: int) -> Iterator[float]:
    """Yield the seconds after the start at which requests arrive independently, `rate` a second on average, for ever.

    Raises:
        ValueError: the rate is not above 0.
    """
    if not rate > 0:
        raise ValueError(f"expected a rate above 0 requests a second, got {rate}")
    draw = random.Random(seed).expovariate
    moment = 0.0
    while True:
        moment += draw(rate)
        yield moment
