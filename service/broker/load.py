"""How much waits in the queue, and how much may."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .keys import split_queue_name


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Bounds of one partition, over all its models: jobs without an answer, and the bytes of their payloads."""

    max_jobs: int = 1000
    max_bytes: int = 256 * 2**20

    def __post_init__(self) -> None:
        for name in ("max_jobs", "max_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """One model version on one partition.

    Attributes:
        jobs: accepted and not yet answered, waiting or in flight.
        live_workers: workers with a lease that serve it.
        wait_s: what one more job would take: 1.1 x (jobs x measured cost / live workers + a measured batch); 0.0
            while there are no jobs, or cost or workers are unknown.
    """

    jobs: int
    live_workers: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class PartitionLoad:
    """State of one partition when it was last looked at.

    Attributes:
        jobs: accepted and not yet answered, over all queues.
        bytes: size of their payloads.
        queues: by queue name, those that have jobs or live workers.
    """

    jobs: int
    bytes: int
    queues: Mapping[str, QueueLoad]

    @classmethod
    def from_reply(cls, reply: list[Any]) -> "PartitionLoad":
        """From the flat answer of state.lua."""
        jobs, size = int(reply[0]), int(reply[1])
        queues = {
            reply[i].decode(): QueueLoad(int(reply[i + 1]), int(reply[i + 2]), int(reply[i + 3]) / 1000)
            for i in range(2, len(reply), 4)
        }
        return cls(jobs, size, queues)


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """What `/readyz` wants to know.

    Attributes:
        reachable: whether at least one partition answers.
        live_workers: by (model, version), workers that hold a lease and serve it.
        waiting: accepted jobs that have no answer yet, over all partitions.
    """

    reachable: bool
    live_workers: Mapping[tuple[str, str], int]
    waiting: int

    @classmethod
    def from_loads(cls, loads: list[PartitionLoad]) -> "BrokerStatus":
        """From the states of the partitions that answered; a worker serves all partitions, so the most seen counts."""
        live: dict[tuple[str, str], int] = {}
        for load in loads:
            for queue, state in load.queues.items():
                name = split_queue_name(queue)
                if state.live_workers > live.get(name, 0):
                    live[name] = state.live_workers
        return cls(bool(loads), live, sum(load.jobs for load in loads))
