"""What a worker holds: a batch of claimed jobs."""

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """One job of a batch.

    Attributes:
        uuid: its name.
        payload: the bytes that were submitted.
        attempts: how many workers were lost with it before; from 1 on it is claimed alone.
        deadline_s: seconds that were left when it was claimed.
    """

    uuid: str
    payload: bytes
    attempts: int
    deadline_s: float


@dataclass(slots=True)
class Batch:
    """Jobs of one model and version that one worker computes together.

    Attributes:
        id: name of the batch, unique over all workers.
        model: name of the model.
        version: its version.
        jobs: what to compute, in queue order.
        lost: True once the worker was taken for dead: its jobs are back in the queue, the batch is to be abandoned.
        partition: index of the partition that it was claimed from.
        number: its number among the batches of this worker on that partition.
    """

    id: str
    model: str
    version: str
    jobs: list[ClaimedJob]
    lost: bool = False
    partition: int = field(default=0, repr=False)
    number: int = field(default=0, repr=False)


class Finished(NamedTuple):
    """What became of the answers to a batch.

    Attributes:
        accepted: how many answers were taken.
        refused: UUIDs of the others: cancelled, too late, or no longer of this worker. (Where the connection broke
            after the server had taken an answer, it is refused the second time.)
        next: the batch that was claimed in the same go, if one was wanted and something waited.
    """

    accepted: int
    refused: tuple[str, ...]
    next: Batch | None
