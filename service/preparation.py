"""A claimed batch made ready for its model."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.batching import decode_batch
from service.broker import Batch
from service.classifier import Classifier
from service.errors import error_body
from service.telemetry import log_event

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PreparedBatch:
    """What the model needs of a batch, and the answers that need no model.

    Attributes:
        batch: as it was claimed.
        classifier: of its model.
        uuids: of the jobs that could be read, in the order of the rows of `x`.
        top_ks: how many predictions each of them asks for.
        x: preprocessed images, float32 [n, height, width, channels].
        answers: errors for the jobs that are not computed, by UUID.
        claimed_at: when it was claimed, on the monotonic clock, in seconds.
    """

    batch: Batch
    classifier: Classifier
    uuids: list[str]
    top_ks: list[int]
    x: NDArray[np.float32]
    answers: dict[str, bytes]
    claimed_at: float

    @property
    def suspect(self) -> bool:
        """Whether a worker was lost with a job of it before."""
        return any(job.attempts for job in self.batch.jobs)

    def drop_late(self) -> None:
        """Take out the jobs whose deadline has passed since they were claimed: nobody waits for them any more."""
        waited_s = time.monotonic() - self.claimed_at
        late = [job.uuid for job in self.batch.jobs if job.deadline_s <= waited_s]
        if not late:
            return
        log_event(log, logging.DEBUG, "late jobs are not computed", model=self.batch.model, jobs=len(late))
        self.answers |= dict.fromkeys(late, error_body("deadline_exceeded", "the image's turn came too late"))
        rows = [row for row, uuid in enumerate(self.uuids) if uuid not in self.answers]
        self.uuids = [self.uuids[row] for row in rows]
        self.top_ks = [self.top_ks[row] for row in rows]
        self.x = self.x[rows]


def prepare(batch: Batch, classifier: Classifier) -> PreparedBatch:
    """Decode and preprocess a batch that was claimed just now. What cannot be read is logged and gets its error."""
    claimed_at = time.monotonic()
    decoded = decode_batch(batch.jobs, classifier.served.shape)
    answers = {}
    for uuid, message in decoded.refused.items():
        log_event(log, logging.ERROR, "bad payload", model=batch.model, uuid=uuid, reason=message)
        answers[uuid] = error_body("internal_error", message)
    x = classifier.preprocess(decoded.images)
    return PreparedBatch(batch, classifier, decoded.uuids, decoded.top_ks, x, answers, claimed_at)
