"""What a run sends: where to, which images, how many at once or how often, for how long."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clients.load.bodies import FORMS
from clients.load.malformed import kinds
from clients.load.pictures import Pictures

DEFAULT_TIMEOUT_S = 40.0
"""More than the service's own deadline, 30 s, so that its answers about deadlines are seen."""


@dataclass(frozen=True)
class Plan:
    """A run. Either a closed loop, `clients` that each wait for an answer before they send again, or an open one:
    `rate` requests a second on average, sent at random moments whether answers come or not.

    Attributes:
        urls: Where requests go, in turns.
        pictures: Where images come from.
        clients: How many clients; 0 in an open loop.
        rate: Requests a second; 0 in a closed loop.
        duration_s: Seconds of sending after the warm-up; infinite: until stopped.
        requests: Most requests after the warm-up; None: any number.
        warm_up_s: Seconds of sending before measuring.
        seed: Decides about arrivals, priorities, hang-ups, malformed requests.
        forms: The forms of body, in turns.
        headers: Further headers, as name and value.
        deadline_ms: `X-Deadline-Ms`; None: not sent.
        priorities: `X-Priority` and the weight with which it is drawn; empty: not sent.
        hang_up_share: Share of requests whose client leaves unless it is answered soon.
        hang_up_after_s: How soon.
        malformed_share: Share of requests that are malformed on purpose.
        malformed_kinds: Names of the kinds; empty: all.
        timeout_s: Seconds without an answer after which a request counts as lost.
        keep_alive: Whether connections are used again.
        connections: Most requests under way at once in an open loop; one beyond is not sent, but counted.
        back_off_s: Pause of a client of a closed loop after an answer other than 200.

    Raises:
        ValueError: some of it is wrong or contradictory.
    """

    urls: Sequence[str]
    pictures: Pictures
    clients: int = 0
    rate: float = 0.0
    duration_s: float = math.inf
    requests: int | None = None
    warm_up_s: float = 0.0
    seed: int = 0
    forms: Sequence[str] = ("multipart",)
    headers: Sequence[tuple[str, str]] = ()
    deadline_ms: float | None = None
    priorities: Mapping[str, float] = field(default_factory=dict)
    hang_up_share: float = 0.0
    hang_up_after_s: float = 0.0
    malformed_share: float = 0.0
    malformed_kinds: Sequence[str] = ()
    timeout_s: float = DEFAULT_TIMEOUT_S
    keep_alive: bool = True
    connections: int = 1024
    back_off_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError("expected a URL or more, got none")
        if (self.clients > 0) == (self.rate > 0) or self.clients < 0 or self.rate < 0:
            raise ValueError(
                f"expected clients of a closed loop or the rate of an open one, got {self.clients} and {self.rate:g}"
            )
        if not self.rate < math.inf:
            raise ValueError(f"rate: expected a finite number of requests a second, got {self.rate:g}")
        if not self.forms or set(self.forms) - set(FORMS):
            raise ValueError(f"expected forms among {', '.join(FORMS)}, got {', '.join(self.forms) or 'none'}")
        for name in ("hang_up_share", "malformed_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a share from 0 to 1, got {getattr(self, name):g}")
        for name in ("duration_s", "timeout_s", "connections"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected more than 0, got {getattr(self, name):g}")
        for name in ("warm_up_s", "hang_up_after_s", "back_off_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: expected 0 or more, got {getattr(self, name):g}")
        if self.deadline_ms is not None and not self.deadline_ms > 0:
            raise ValueError(f"deadline_ms: expected more than 0, got {self.deadline_ms:g}")
        if self.requests is not None and self.requests < 1:
            raise ValueError(f"requests: expected 1 or more, got {self.requests}")
        if any(not weight > 0 for weight in self.priorities.values()):
            raise ValueError(f"expected weights of priorities above 0, got {dict(self.priorities)}")
        for part in (*(part for header in self.headers for part in header), *self.priorities):
            if "\r" in part or "\n" in part or not part.isascii():
                raise ValueError(f"expected headers in ASCII, on one line, got {part!r}")
        kinds(self.malformed_kinds)
