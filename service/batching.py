"""From a batch of jobs to one array: reading payloads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pybase64
from numpy.typing import NDArray

from service.broker import ClaimedJob

Shape = tuple[int, int, int]  # height, width, channels

_IMAGE = b'"image":"'


class PayloadError(ValueError):
    """A payload that is not what the web side of this version writes."""


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """The readable part of a batch.

    Attributes:
        uuids: of the readable jobs, in the order of the rows of `images`.
        top_ks: how many predictions each of them asks for.
        images: uint8 [n, height, width, channels], read-only.
        refused: what is wrong with each job that could not be read, by UUID.
    """

    uuids: list[str]
    top_ks: list[int]
    images: NDArray[np.uint8]
    refused: dict[str, str] = field(default_factory=dict)


def read_payload(payload: bytes, shape: Shape) -> tuple[bytes, int]:
    """The pixels of one payload, uint8 in C order of `shape`, and its `top_k`.

    Raises:
        PayloadError: no JSON, a field is missing or of the wrong kind, the image has another shape or size.
    """
    # The image is cut out before parsing: it is nearly all of the text, and base64 holds no quotation mark.
    start = payload.find(_IMAGE) + len(_IMAGE)
    end = payload.find(b'"', start)
    if start >= len(_IMAGE) and end > 0:
        image: object = memoryview(payload)[start:end]
        top_k = _usual_top_k(payload[:start] + payload[end:], shape)
    else:
        fields = _fields(payload)
        image, top_k = fields["image"], _top_k(fields, shape)
    try:
        pixels = pybase64.b64decode(image, validate=True)  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise PayloadError(f"the payload's image is not base64: {error}") from error
    height, width, channels = shape
    if len(pixels) != height * width * channels:
        raise PayloadError(f"the payload's image has {len(pixels)} bytes, expected {height * width * channels}")
    return pixels, top_k


@lru_cache(maxsize=64)
def _usual_top_k(rest: bytes, shape: Shape) -> int:
    """`top_k` of a payload without its image, which is the same text for nearly all jobs of a model."""
    return _top_k(_fields(rest), shape)


def _fields(text: bytes) -> dict[str, object]:
    try:
        fields = json.loads(text)
        fields["shape"], fields["dtype"], fields["image"], fields["top_k"]
    except (ValueError, KeyError, TypeError) as error:
        raise PayloadError(f"the payload is not JSON with shape, dtype, image and top_k: {error!r}") from error
    return dict(fields)


def _top_k(fields: dict[str, object], shape: Shape) -> int:
    dtype, top_k = fields["dtype"], fields["top_k"]
    if dtype != "uint8":
        raise PayloadError(f"the payload's dtype is {dtype!r}, expected 'uint8'")
    if fields["shape"] != list(shape):
        raise PayloadError(f"the payload's shape is {fields['shape']!r}, the model expects {list(shape)}")
    if type(top_k) is not int or top_k < 1:
        raise PayloadError(f"the payload's top_k is {top_k!r}, expected an integer of at least 1")
    return top_k


def decode_payload(payload: bytes, into: NDArray[np.uint8]) -> int:
    """Write the image of one payload into `into` (uint8 [height, width, channels]); returns its `top_k`.

    Raises:
        PayloadError: as `read_payload`.
    """
    height, width, channels = into.shape
    pixels, top_k = read_payload(payload, (height, width, channels))
    into[...] = np.frombuffer(pixels, dtype=np.uint8).reshape(into.shape)
    return top_k


def decode_batch(jobs: Sequence[ClaimedJob], shape: Shape) -> DecodedBatch:
    """Decode the payloads of a batch into one array; a job that cannot be read takes no row."""
    uuids: list[str] = []
    top_ks: list[int] = []
    images: list[bytes] = []
    refused: dict[str, str] = {}
    for job in jobs:
        try:
            pixels, top_k = read_payload(job.payload, shape)
        except PayloadError as error:
            refused[job.uuid] = str(error)
        else:
            uuids.append(job.uuid)
            top_ks.append(top_k)
            images.append(pixels)
    pixels = images[0] if len(images) == 1 else b"".join(images)
    return DecodedBatch(uuids, top_ks, np.frombuffer(pixels, dtype=np.uint8).reshape(len(images), *shape), refused)
