"""Reading payloads: what the web side writes comes back, and one bad payload harms no other."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.batching import PayloadError, decode_batch, decode_payload
from service.broker import ClaimedJob
from service.images import encode_payload
from service.repository import ServedModel

SHAPE = (2, 3, 3)


def payload(**changes: object) -> bytes:
    image = np.arange(18, dtype=np.uint8)
    fields = {"shape": list(SHAPE), "dtype": "uint8", "image": base64.b64encode(image).decode(), "top_k": 4}
    return json.dumps(fields | changes).encode()


def job(uuid: str, data: bytes) -> ClaimedJob:
    return ClaimedJob(uuid=uuid, payload=data, attempts=0, deadline_s=30.0)


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
