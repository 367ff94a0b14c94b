"""Batch forming and decoding: greedy, fair over models, and one bad payload harms no other."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.batching import BatchFormer, PayloadError, Queue, decode_batch, decode_payload
from service.broker import Batch, ClaimedJob
from service.images import encode_payload
from service.repository import ServedModel

SHAPE = (2, 3, 3)


def payload(**changes: object) -> bytes:
    image = np.arange(18, dtype=np.uint8)
    fields = {"shape": list(SHAPE), "dtype": "uint8", "image": base64.b64encode(image).decode(), "top_k": 4}
    return json.dumps(fields | changes).encode()


def job(uuid: str, data: bytes) -> ClaimedJob:
    return ClaimedJob(uuid=uuid, payload=data, attempts=0, deadline_s=30.0)


class Waiting:
    """A claimer with jobs of its own; like the broker, it goes through the queues in order."""

    def __init__(self, **waiting: int) -> None:
        self.waiting = waiting
        self.asked: list[int] = []

    def claim(self, max_batch: int, queues: Sequence[Queue] | None = None) -> Batch | None:
        self.asked.append(max_batch)
        for model, version in queues or ():
            count = min(max_batch, self.waiting[model])
            if count:
                self.waiting[model] -= count
                return Batch(str(len(self.asked)), model, version, [job(str(n), b"") for n in range(count)])
        return None


def test_a_batch_takes_what_waits_up_to_the_models_size() -> None:
    former = BatchFormer(Waiting(a=5), {("a", "1"): 3})
    assert [len(batch.jobs) for batch in iter(former.next, None)] == [3, 2]


def test_models_of_equal_batch_size_are_asked_for_in_one_call() -> None:
    waiting = Waiting(a=0, b=0)
    assert BatchFormer(waiting, {("a", "1"): 8, ("b", "1"): 8}).next() is None
    assert waiting.asked == [8]


def test_a_busy_model_does_not_starve_one_of_another_batch_size() -> None:
    former = BatchFormer(Waiting(busy=1000, rare=2), {("busy", "1"): 32, ("rare", "1"): 1})
    order = [batch.model for _ in range(4) if (batch := former.next())]
    assert order == ["busy", "rare", "busy", "rare"]


def test_what_the_web_side_encodes_is_decoded_to_the_same_pixels() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    served = ServedModel("m", "1", Path(), Path("m.keras"), width=5, height=4, labels=("a",), color="bgr")
    into = np.empty(served.shape, np.uint8)
    assert decode_payload(encode_payload(Image.fromarray(pixels), served, 7), into) == 7
    np.testing.assert_array_equal(into, pixels[..., ::-1])


def test_a_payload_with_spaces_and_fields_in_another_order_is_read_as_well() -> None:
    into = np.empty(SHAPE, np.uint8)
    assert decode_payload(payload(), into) == 4
    image = base64.b64encode(into).decode()
    again = np.empty(SHAPE, np.uint8)
    compact = json.dumps({"image": image, "top_k": 3, "dtype": "uint8", "shape": SHAPE}, separators=(",", ":"))
    assert decode_payload(compact.encode(), again) == 3
    np.testing.assert_array_equal(again, into)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff{", "JSON"),
        (b"[]", "JSON"),
        (json.dumps({"shape": [2, 3, 3]}).encode(), "dtype"),
        (payload(dtype="float32"), "float32"),
        (payload(shape=[3, 2, 3]), r"\[3, 2, 3\]"),
        (payload(image="AAAA"), "3 bytes, expected 18"),
        (payload(image="A" * 23 + "!"), "base64"),
        (payload(image=None), "base64"),
        (b'{"shape":[2,3,3],"dtype":"uint8","image":"AAAA', "JSON"),
        (b'{"shape":[2,3,3],"dtype":"uint8","image":"AAAA","top_k":1', "JSON"),
        (payload(top_k=0), "top_k"),
        (payload(top_k=True), "top_k"),
    ],
)
def test_a_payload_that_is_wrong_is_refused_with_what_is_wrong(data: bytes, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        decode_payload(data, np.empty(SHAPE, np.uint8))


def test_a_bad_payload_takes_no_row_and_harms_no_other() -> None:
    images = [np.full(18, value, np.uint8) for value in (1, 2)]
    encoded = [payload(image=base64.b64encode(image).decode(), top_k=n + 1) for n, image in enumerate(images)]
    decoded = decode_batch([job("a", encoded[0]), job("bad", b"{}"), job("c", encoded[1])], SHAPE)
    assert decoded.uuids == ["a", "c"]
    assert decoded.top_ks == [1, 2]
    np.testing.assert_array_equal(decoded.images.reshape(2, -1), images)
    assert set(decoded.refused) == {"bad"}


def test_a_batch_of_bad_payloads_alone_has_no_rows() -> None:
    decoded = decode_batch([job("bad", b"")], SHAPE)
    assert decoded.images.shape == (0, *SHAPE)
    assert set(decoded.refused) == {"bad"}
