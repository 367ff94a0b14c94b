"""Decoding uploads without holding up other requests: small images at once, large ones in a few threads."""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable

from PIL import Image

from service.images import ImageLimits, encode_payload, open_image, prepare_image
from service.repository import ServedModel

# Below both of these an image is decoded in less time than handing it to a thread and back would save others.
INLINE_BYTES = 16 * 1024
INLINE_PIXELS = 128 * 128
# Few, since each may hold a whole decoded image: up to 4 bytes times the limit of pixels.
LARGE_IMAGES_AT_ONCE = max(2, min(4, os.cpu_count() or 1))


def is_gevent_patched() -> bool:
    """Say whether this process runs on greenlets."""
    if "gevent.monkey" not in sys.modules:
        return False
    from gevent import monkey

    return bool(monkey.is_module_patched("threading"))


class Decoder:
    """Makes job payloads from uploaded bytes; one per web process.

    Args:
        limits: What is refused.
    """

    def __init__(self, limits: ImageLimits) -> None:
        self._limits = limits
        self._run_large: Callable[[Callable[[], bytes]], bytes]
        if is_gevent_patched():
            from gevent.threadpool import ThreadPool

            pool = ThreadPool(LARGE_IMAGES_AT_ONCE)
            self._run_large = lambda work: _outcome(pool.apply(_caught, (work,)))
        else:
            slots = threading.BoundedSemaphore(LARGE_IMAGES_AT_ONCE)
            self._run_large = lambda work: _within(slots, work)

    def payload(self, data: bytes, model: ServedModel, top_k: int) -> bytes:
        """Return the job payload for an uploaded file.

        Raises:
            ServiceError: an image_… code; see `service.images`.
        """
        if len(data) > INLINE_BYTES:
            return self._run_large(functools.partial(self._open_and_encode, data, model, top_k))
        image = open_image(data, self._limits)
        encode = functools.partial(self._encode, image, model, top_k)
        return encode() if image.width * image.height <= INLINE_PIXELS else self._run_large(encode)

    def _open_and_encode(self, data: bytes, model: ServedModel, top_k: int) -> bytes:
        return self._encode(open_image(data, self._limits), model, top_k)

    def _encode(self, image: Image.Image, model: ServedModel, top_k: int) -> bytes:
        return encode_payload(prepare_image(image, model, self._limits), model, top_k)


def _within(slots: threading.BoundedSemaphore, work: Callable[[], bytes]) -> bytes:
    with slots:
        return work()


# gevent's pool prints every exception that leaves a thread; so none leaves.
def _caught(work: Callable[[], bytes]) -> bytes | Exception:
    try:
        return work()
    except Exception as error:
        return error


def _outcome(outcome: bytes | Exception) -> bytes:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
