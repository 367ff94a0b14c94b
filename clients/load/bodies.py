"""The three forms of a request body, and the head before it."""

from __future__ import annotations

import base64
from typing import NamedTuple

FORMS = ("multipart", "raw", "json")
BOUNDARY = b"----------------beagle-load-5f0c4e92d1"


class Body(NamedTuple):
    """A request body and its label."""

    content_type: bytes
    content: bytes


def body_of(form: str, image: bytes) -> Body:
    """Write the body that carries an image.

    Raises:
        ValueError: there is no such form.
    """
    if form == "multipart":
        return Body(b"multipart/form-data; boundary=" + BOUNDARY, _multipart(image))
    if form == "raw":
        return Body(media_type(image), image)
    if form == "json":
        return Body(b"application/json", b'{"image": "' + base64.b64encode(image) + b'"}')
    raise ValueError(f"expected a form among {', '.join(FORMS)}, got {form!r}")


def request_of(start: bytes, body: Body) -> bytes:
    """Write a request: `start` (request line and headers so far), the body's headers, the body."""
    return b"%bContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        start,
        body.content_type,
        len(body.content),
        body.content,
    )


def media_type(image: bytes) -> bytes:
    """Return the media type of an image file by its first bytes; application/octet-stream for others."""
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"image/png"
    if image.startswith(b"\xff\xd8\xff"):
        return b"image/jpeg"
    return b"application/octet-stream"


def _multipart(image: bytes) -> bytes:
    disposition = b'Content-Disposition: form-data; name="image"; filename="image"'
    return b"--%b\r\n%b\r\nContent-Type: %b\r\n\r\n%b\r\n--%b--\r\n" % (
        BOUNDARY,
        disposition,
        media_type(image),
        image,
        BOUNDARY,
    )
