"""Requests that are wrong on purpose, each with the answers that are right for it.

Of a prediction service that is sent rubbish the right answers are 4xx, or a closed connection where the request
leaves nothing else; never a 5xx of its own making, never silence, never the label of another image. Those that have
a valid request inside may be answered with its predictions.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from clients.load.bodies import BOUNDARY, FORMS, Body, body_of, request_of
from clients.load.exchange import Tail
from clients.load.outcomes import Expectation

_BAD = frozenset({400})
_RARELY = 0.1  # of the others' weight: these hold a connection for long, or send megabytes
_ENDLESS_BYTES = 1 << 40

Build = Callable[[bytes, str, bytes], bytes]
"""From the request line with the first headers, the form and the image: the bytes to send."""


class Kind(NamedTuple):
    """One way to be wrong.

    Attributes:
        name: What the ledger calls it.
        build: Writes the bytes.
        statuses: The right answers.
        forms: The forms that can be wrong so.
        tail: What follows the bytes.
        may_close: Whether a connection closed without an answer is right.
        weight: How often it is drawn, relative to the others.
    """

    name: str
    build: Build
    statuses: frozenset[int] = _BAD
    forms: Sequence[str] = FORMS
    tail: Tail = Tail.NOTHING
    may_close: bool = False
    weight: float = 1.0

    def expectation(self, label: str | None) -> Expectation:
        """Return what is right, `label` being that of the image inside."""
        return Expectation(label, self.statuses, self.may_close)


def kinds(names: Sequence[str] = ()) -> tuple[Kind, ...]:
    """Return the kinds with these names; all where none is named.

    Raises:
        ValueError: there is no such kind.
    """
    if not names:
        return KINDS
    by_name = {kind.name: kind for kind in KINDS}
    unknown = sorted(set(names) - set(by_name))
    if unknown:
        raise ValueError(f"expected kinds among {', '.join(by_name)}, got {', '.join(unknown)}")
    return tuple(by_name[name] for name in names)


class Draw:
    """Draws kinds by their weights, for a form."""

    def __init__(self, among: Sequence[Kind], seed: int) -> None:
        self._random = random.Random(seed)
        self._by_form = {form: [kind for kind in among if form in kind.forms] for form in FORMS}
        self._weights = {form: [kind.weight for kind in found] for form, found in self._by_form.items()}

    def kind(self, form: str) -> Kind | None:
        """Return one for the form; None where none fits it."""
        found = self._by_form[form]
        return self._random.choices(found, self._weights[form])[0] if found else None


def _head(start: bytes, content_type: bytes, length: int | bytes) -> bytes:
    text = length if isinstance(length, bytes) else b"%d" % length
    return b"%bContent-Type: %b\r\nContent-Length: %b\r\n\r\n" % (start, content_type, text)


def _cut(start: bytes, form: str, image: bytes) -> bytes:
    whole = request_of(start, body_of(form, image))
    return whole[: len(whole) - len(image) // 2]


def _shortened(start: bytes, form: str, image: bytes) -> bytes:
    kind, content = body_of(form, image)
    return request_of(start, Body(kind, content[: len(content) // 2]))


def _empty(start: bytes, form: str, image: bytes) -> bytes:
    return _head(start, body_of(form, image).content_type, 0)


def _doubled(start: bytes, form: str, image: bytes) -> bytes:
    kind, content = body_of(form, image)
    return request_of(start, Body(kind, content * 2))


def _doubled_beyond_its_length(start: bytes, form: str, image: bytes) -> bytes:
    body = body_of(form, image)
    return request_of(start, body) + body.content


def _two_lengths(start: bytes, form: str, image: bytes) -> bytes:
    body = body_of(form, image)
    return request_of(start + b"Content-Length: %d\r\n" % (len(body.content) // 2), body)


def _length_and_chunks(start: bytes, form: str, image: bytes) -> bytes:
    kind, content = body_of(form, image)
    head = _head(start + b"Transfer-Encoding: chunked\r\n", kind, len(content))
    return b"%b%x\r\n%b\r\n0\r\n\r\n" % (head, len(content), content)


def _bad_chunk(start: bytes, form: str, image: bytes) -> bytes:
    kind, content = body_of(form, image)
    return b"%bContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\nsize\r\n%b\r\n0\r\n\r\n" % (start, kind, content)


def _labelled(content_type: bytes) -> Build:
    def build(start: bytes, form: str, image: bytes) -> bytes:
        return request_of(start, Body(content_type, body_of(form, image).content))

    return build


def _gzip_label(start: bytes, form: str, image: bytes) -> bytes:
    return request_of(start + b"Content-Encoding: gzip\r\n", body_of(form, image))


def _base64_as_image(start: bytes, form: str, image: bytes) -> bytes:
    return request_of(start, Body(b"image/png", base64.b64encode(image)))


def _raw_as_base64(start: bytes, form: str, image: bytes) -> bytes:
    return request_of(start, Body(b"application/json", b'{"image": "' + image.hex(":").encode() + b'"}'))


def _other_field(start: bytes, form: str, image: bytes) -> bytes:
    kind, content = body_of(form, image)
    return request_of(start, Body(kind, content.replace(b'"image"', b'"picture"', 1)))


def _huge(start: bytes, form: str, image: bytes) -> bytes:
    kind, content = body_of(form, image)
    return _head(start, kind, _ENDLESS_BYTES) + content


def _huge_in_chunks(start: bytes, form: str, image: bytes) -> bytes:
    kind = body_of(form, image).content_type
    return b"%bContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % (start, kind)


def _with_length(length: bytes) -> Build:
    def build(start: bytes, form: str, image: bytes) -> bytes:
        kind, content = body_of(form, image)
        return _head(start, kind, length) + content

    return build


def _with_header(header: bytes) -> Build:
    def build(start: bytes, form: str, image: bytes) -> bytes:
        return request_of(start + header, body_of(form, image))

    return build


def _with_version(version: bytes) -> Build:
    def build(start: bytes, form: str, image: bytes) -> bytes:
        return request_of(start.replace(b"HTTP/1.1", version, 1), body_of(form, image))

    return build


def _garbage(start: bytes, form: str, image: bytes) -> bytes:
    return b"\x16\x03\x01 not a request\r\n\r\n"


_CUT_STATUSES = frozenset({400, 408, 413, 504})
_TOO_LARGE = frozenset({400, 413, 431})
_UNSUPPORTED = frozenset({415})

KINDS: tuple[Kind, ...] = (
    # Half-closing counts as leaving: nobody may be there to be answered.
    Kind("cut", _cut, _CUT_STATUSES, tail=Tail.HALF_CLOSE, may_close=True),
    Kind("cut and stalled", _cut, _CUT_STATUSES, tail=Tail.STALL, may_close=True, weight=_RARELY),
    Kind("shortened", _shortened),
    Kind("empty", _empty),
    # A form may be followed by anything, and so may the data of an image.
    Kind("doubled", _doubled, frozenset({200, 400}), forms=("multipart", "raw")),
    Kind("doubled JSON", _doubled, forms=("json",)),
    Kind("doubled beyond its length", _doubled_beyond_its_length, frozenset({200})),
    Kind("two lengths", _two_lengths),
    Kind("length and chunks", _length_and_chunks),
    Kind("bad chunk", _bad_chunk),
    Kind("negative length", _with_length(b"-1")),
    Kind("wordy length", _with_length(b"12 and more")),
    Kind("wrong boundary", _labelled(b"multipart/form-data; boundary=another"), forms=("multipart",)),
    Kind("no boundary", _labelled(b"multipart/form-data"), forms=("multipart",)),
    Kind("not a form", _labelled(b"multipart/form-data; boundary=" + BOUNDARY), forms=("raw", "json")),
    Kind("not JSON", _labelled(b"application/json"), forms=("multipart", "raw")),
    Kind("not an image", _labelled(b"image/png"), forms=("multipart", "json")),
    Kind("unknown type", _labelled(b"text/plain"), _UNSUPPORTED),
    Kind("gzip label", _gzip_label, _UNSUPPORTED),
    Kind("base64 as image", _base64_as_image, forms=("raw",)),
    Kind("not base64", _raw_as_base64, forms=("json",)),
    Kind("other field", _other_field, forms=("multipart", "json")),
    Kind("huge", _huge, frozenset({413}), tail=Tail.STREAM, may_close=True),
    Kind(
        "huge in chunks",
        _huge_in_chunks,
        frozenset({413}),
        forms=("raw",),
        tail=Tail.STREAM,
        may_close=True,
        weight=_RARELY,
    ),
    Kind("garbage", _garbage, may_close=True),
    Kind("header without colon", _with_header(b"no colon here\r\n")),
    Kind("space in header name", _with_header(b"X Header: 1\r\n")),
    Kind("huge head", _with_header(b"X-Long: " + b"x" * 100_000 + b"\r\n"), _TOO_LARGE, may_close=True),
    Kind("many headers", _with_header(b"X-Many: 1\r\n" * 500), _TOO_LARGE, may_close=True),
    Kind("unknown version", _with_version(b"HTTP/9.9"), frozenset({400, 505})),
)
"""All kinds."""
