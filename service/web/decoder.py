"""Decoding uploads without holding up other requests: small images at once, large ones in a few threads."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

from PIL import Image

from service.images import ImageLimits, encode_payload, open_image, prepare_image, read_base64
from service.repository import ServedModel

# Below both of these an image is decoded in less time than handing it to a thread and back would save others.
INLINE_BYTES = 16 * 1024
INLINE_PIXELS = 128 * 128
# Only of these formats: others hold images of sizes that their heads do not tell (icons), or are decoded slowly.
INLINE_FORMATS = frozenset({"PNG", "JPEG", "GIF", "WEBP"})
# Few, since each may hold a whole decoded image: up to 4 bytes times the limit of pixels.
LARGE_IMAGES_AT_ONCE = max(2, min(4, os.cpu_count() or 1))

Check = Callable[[], object]


def is_gevent_patched() -> bool:
    """Say whether this process runs on greenlets."""
    if "gevent.monkey" not in sys.modules:
        return False
    from gevent import monkey

    return bool(monkey.is_module_patched("threading"))


class Decoder:
    """Makes job payloads from uploads; one per web process. Large images wait for a thread in the order they came.

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

    def payload(self, upload: bytes | str, model: ServedModel, top_k: int, check_wanted: Check) -> bytes:
        """Return the job payload for an uploaded image.

        Args:
            upload: The file's contents, or text that holds them in base64.
            check_wanted: Called when the turn of a large image comes; raises where nobody waits for it any more.

        Raises:
            ServiceError: invalid_base64, and the image_… codes of `service.images`.
        """
        opened = self._opened(upload) if len(upload) <= INLINE_BYTES else None
        if opened is not None and opened.format in INLINE_FORMATS and opened.width * opened.height <= INLINE_PIXELS:
            return self._encode(opened, model, top_k)

        def work() -> bytes:
            check_wanted()
            return self._encode(opened or self._opened(upload), model, top_k)

        return self._run_large(work)

    def _opened(self, upload: bytes | str) -> Image.Image:
        data = read_base64(upload, self._limits) if isinstance(upload, str) else upload
        return open_image(data, self._limits)

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
