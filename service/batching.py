"""From waiting jobs to one array: which queues a free worker looks at, and decoding what it claimed."""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.broker import Batch, ClaimedJob

Queue = tuple[str, str]  # model, version

_IMAGE = b'"image":"'


class Claimer(Protocol):
    """What batching needs of a `service.broker.WorkerBroker`."""

    def claim(self, max_batch: int, queues: Sequence[Queue] | None = None) -> Batch | None: ...


class BatchFormer:
    """Greedy batch forming: takes what waits, up to the model's `max_batch`, and never waits for more.

    Queues with the same `max_batch` are asked for together, so that the common case costs one round trip and
    the broker's own fairness holds among them; groups of different size take turns in being asked first.

    Args:
        broker: where to claim.
        max_batches: the largest batch of each (model, version); at least 1.
    """

    def __init__(self, broker: Claimer, max_batches: Mapping[Queue, int]) -> None:
        self._broker = broker
        groups: dict[int, list[Queue]] = {}
        for queue, max_batch in max_batches.items():
            groups.setdefault(max_batch, []).append(queue)
        self._groups = [(max_batch, tuple(queues)) for max_batch, queues in groups.items()]
        self._first = 0

    def next(self) -> Batch | None:
        """The next batch, all of one model and version, or None where nothing waits. Does not block."""
        count = len(self._groups)
        first = self._first
        for offset in range(count):
            index = (first + offset) % count
            max_batch, queues = self._groups[index]
            batch = self._broker.claim(max_batch, queues)
            if batch is not None:
                self._first = (index + 1) % count
                return batch
        return None


class PayloadError(ValueError):
    """A payload that is not what the web side of this version writes."""


@dataclass(frozen=True)
class DecodedBatch:
    """The readable part of a batch.

    Attributes:
        uuids: of the readable jobs, in the order of the rows of `images`.
        top_ks: how many predictions each of them asks for.
        images: uint8 [n, height, width, channels].
        refused: what is wrong with each job that could not be read, by UUID.
    """

    uuids: list[str]
    top_ks: list[int]
    images: NDArray[np.uint8]
    refused: dict[str, str] = field(default_factory=dict)


def decode_payload(payload: bytes, into: NDArray[np.uint8]) -> int:
    """Write the image of one payload into `into` (uint8 [height, width, channels]); returns its `top_k`.

    Raises:
        PayloadError: no JSON, a field is missing or of the wrong kind, the image has another shape or size.
    """
    # The image is cut out before parsing: it is nearly all of the text, and base64 holds no quotation mark.
    head, opening, rest = payload.partition(_IMAGE)
    image, closing, tail = rest.partition(b'"')
    try:
        fields = json.loads(head + opening + closing + tail)
        shape, dtype, top_k = fields["shape"], fields["dtype"], fields["top_k"]
        if not opening:
            image = fields["image"]
    except (ValueError, KeyError, TypeError) as error:
        raise PayloadError(f"the payload is not JSON with shape, dtype, image and top_k: {error!r}") from error
    if dtype != "uint8":
        raise PayloadError(f"the payload's dtype is {dtype!r}, expected 'uint8'")
    if shape != list(into.shape):
        raise PayloadError(f"the payload's shape is {shape!r}, the model expects {list(into.shape)}")
    if type(top_k) is not int or top_k < 1:
        raise PayloadError(f"the payload's top_k is {top_k!r}, expected an integer of at least 1")
    try:
        raw = binascii.a2b_base64(image, strict_mode=True)
    except (ValueError, TypeError) as error:
        raise PayloadError(f"the payload's image is not base64: {error}") from error
    if len(raw) != into.size:
        raise PayloadError(f"the payload's image has {len(raw)} bytes, expected {into.size}")
    into.reshape(-1)[:] = np.frombuffer(raw, dtype=np.uint8)
    return top_k


def decode_batch(jobs: Sequence[ClaimedJob], shape: tuple[int, int, int]) -> DecodedBatch:
    """Decode the payloads of a batch into one array; a job that cannot be read takes no row."""
    images = np.empty((len(jobs), *shape), dtype=np.uint8)
    uuids: list[str] = []
    top_ks: list[int] = []
    refused: dict[str, str] = {}
    for job in jobs:
        try:
            top_ks.append(decode_payload(job.payload, images[len(uuids)]))
        except PayloadError as error:
            refused[job.uuid] = str(error)
        else:
            uuids.append(job.uuid)
    return DecodedBatch(uuids, top_ks, images[: len(uuids)], refused)
