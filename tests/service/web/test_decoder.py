"""Large uploads wait for a thread; who hung up meanwhile is not decoded for."""

from __future__ import annotations

import base64
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from service.errors import ServiceError
from service.images import ImageLimits
from service.repository import ServedModel
from service.web import decoder
from service.web.decoder import LARGE_IMAGES_AT_ONCE, Decoder
from tests.service.processes import eventually
from tests.service.web.conftest import png

MODEL = ServedModel("m", "1", Path("m"), Path("m/model.keras"), 4, 4, ("a",), color="grey")
LARGE = png(7, (300, 300))


def wanted() -> None:
    """Somebody waits for it."""


def unwanted() -> None:
    raise ServiceError("client_gone", "the client hung up")


@pytest.mark.parametrize("size", [(4, 4), (300, 300)], ids=["small", "large"])
def test_base64_gives_the_payload_of_the_file_in_it(size: tuple[int, int]) -> None:
    data, made = png(9, size), Decoder(ImageLimits())
    expected = made.payload(data, MODEL, 3, wanted)
    assert made.payload(base64.b64encode(data).decode(), MODEL, 3, wanted) == expected
    assert b'"top_k":3' in expected


def test_what_is_no_base64_is_refused_however_long_it_is() -> None:
    for text in ("*", "*" * 100_000):
        with pytest.raises(ServiceError) as raised:
            Decoder(ImageLimits()).payload(text, MODEL, 1, wanted)
        assert raised.value.code == "invalid_base64"


@pytest.mark.parametrize("upload", [LARGE, LARGE.ljust(50_000, b"\0")], ids=["pixels", "bytes"])
def test_a_large_image_that_nobody_waits_for_is_not_decoded(upload: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "prepare_image", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ServiceError, match="hung up"):
        Decoder(ImageLimits()).payload(upload, MODEL, 1, unwanted)


def test_an_icon_is_not_decoded_at_once_for_it_may_hide_a_large_image(monkeypatch: pytest.MonkeyPatch) -> None:
    held = png(7, (128, 128))
    icon = b"icns" + struct.pack(">I", len(held) + 16) + b"ic07" + struct.pack(">I", len(held) + 8) + held
    monkeypatch.setattr(decoder, "prepare_image", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ServiceError, match="hung up"):
        Decoder(ImageLimits()).payload(icon, MODEL, 1, unwanted)


def test_few_large_images_are_decoded_at_once_and_whether_one_is_wanted_is_asked_when_its_turn_comes() -> None:
    made, go = Decoder(ImageLimits()), threading.Event()
    asked: list[int] = []

    def held(number: int) -> None:
        asked.append(number)
        assert go.wait(20)

    def decode(number: int) -> Any:
        return made.payload(LARGE, MODEL, 1, lambda: held(number))

    count = LARGE_IMAGES_AT_ONCE + 3
    with ThreadPoolExecutor(count) as pool:
        results = [pool.submit(decode, number) for number in range(count)]
        eventually(lambda: len(asked) == LARGE_IMAGES_AT_ONCE, "all threads are occupied")
        assert not any(result.done() for result in results)
        assert len(asked) == LARGE_IMAGES_AT_ONCE
        go.set()
        assert len({result.result() for result in results}) == 1
    assert sorted(asked) == list(range(count))
