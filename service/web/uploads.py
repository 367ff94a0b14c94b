"""What a prediction request holds: images from multipart, raw or JSON bodies, and its parameters."""

from __future__ import annotations

import io
import json
import math
import re
import reprlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from werkzeug import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header

from service.broker import PRIORITIES
from service.errors import ServiceError
from service.images import ImageLimits
from service.repository import ServedModel
from service.settings import MIB
from service.web.request import PredictionRequest

MAX_IMAGES = 32
DEADLINE_HEADER = "X-Deadline-Ms"
PRIORITY_HEADER = "X-Priority"
DEFAULT_PRIORITY = "normal"
FIELD = "image"
# Forms up to this size are read whole first: most hold one file and nothing else, and are taken apart at sight.
PLAIN_FORM_BYTES = 4 * MIB
# Of other forms: the most fields, and bytes in those that are no files.
MAX_FIELDS = 1000
MAX_FIELD_BYTES = 500_000
# Of fields that are not ours so many are named in an error.
_NAMES_TOLD = 10

_PLAIN_BOUNDARY = re.compile(r'multipart/form-data; ?boundary=("?)([^\s";\\]+)\1', re.IGNORECASE)
_PLAIN_HEAD = re.compile(
    rb'Content-Disposition: form-data; name="%b"; filename="[^"\\\r\n]*"\r\n(?:Content-Type: [^\r\n]*\r\n)?\r\n'
    % FIELD.encode(),
    re.IGNORECASE,
)


class Upload(NamedTuple):
    """The images of one request.

    Attributes:
        images: One to MAX_IMAGES, not decoded yet: contents of files, or text that holds them in base64.
        listed: Whether the answer is a list of predictions per image rather than the one image's.
        top_k: `top_k` from the body, not checked yet; None when it is not there.
    """

    images: Sequence[bytes | str]
    listed: bool
    top_k: Any = None


class _Form(Request):
    """Any form, by werkzeug's parser."""

    max_form_parts = MAX_FIELDS
    max_form_memory_size = MAX_FIELD_BYTES


def read_upload(request: PredictionRequest, limits: ImageLimits) -> Upload:
    """Read the body of a prediction request.

    Raises:
        ServiceError: image_missing, image_empty, image_too_large, too_many_images, invalid_json,
            unsupported_media_type; and what `PredictionRequest.read_all` raises.
    """
    kind = request.mimetype
    coding = request.header("HTTP_CONTENT_ENCODING")
    if coding and coding.lower() != "identity":
        raise ServiceError("unsupported_media_type", f"send the body as it is, not in {coding!r} coding")
    if kind == "multipart/form-data":
        return _read_multipart(request, limits)
    if kind == "application/json" or kind.endswith("+json"):
        return _read_json(request)
    if kind.startswith("image/") or kind == "application/octet-stream":
        # No other body is one image, so that only here the smaller limit holds before it is read.
        limits.check_bytes(request.length or 0)
        data = request.read_all(limits.max_bytes)
        limits.check_bytes(len(data))
        return Upload((_not_empty(data),), listed=False)
    if not kind and request.length == 0:
        raise ServiceError("image_missing", "the request has no body; send an image")
    raise ServiceError(
        "unsupported_media_type",
        "expected multipart/form-data, image/*, application/octet-stream or application/json, "
        f"got {kind or 'no Content-Type'}",
    )


def chosen_top_k(request: PredictionRequest, upload: Upload, model: ServedModel) -> int:
    """Return how many predictions to answer: from the query, else the body, else the model's own number.

    Raises:
        ServiceError: invalid_parameter, unless it is a whole number from 1 to the number of labels.
    """
    value = request.arguments.get("top_k", upload.top_k)
    if value is None:
        return model.top_k
    most = len(model.labels)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        # Shortened: JSON may hold anything there, as large as a body may be.
        got = reprlib.repr(value)
        raise ServiceError("invalid_parameter", f"top_k: expected a whole number, 1 to {most}, got {got}")
    return value


def chosen_deadline_s(request: PredictionRequest, model: ServedModel, longest_s: float) -> float:
    """Return the seconds that a request may take: the model's and `longest_s`, lowered by X-Deadline-Ms.

    Raises:
        ServiceError: invalid_parameter, unless the header is a number above 0.
    """
    deadline_s = min(model.deadline_s, longest_s)
    text = request.header("HTTP_X_DEADLINE_MS")
    if text is None:
        return deadline_s
    try:
        asked_s = float(text) / 1000
    except ValueError:
        asked_s = math.nan
    if not asked_s > 0:
        raise ServiceError("invalid_parameter", f"{DEADLINE_HEADER}: expected milliseconds above 0, got {text!r}")
    return min(deadline_s, asked_s)


def chosen_priority(request: PredictionRequest) -> str:
    """Return the priority that X-Priority asks for: high, normal (also without the header) or low.

    Raises:
        ServiceError: invalid_parameter, for anything else.
    """
    text = request.header("HTTP_X_PRIORITY")
    if text is None:
        return DEFAULT_PRIORITY
    if text not in PRIORITIES:
        raise ServiceError(
            "invalid_parameter", f"{PRIORITY_HEADER}: expected one of {', '.join(PRIORITIES)}, got {text!r}"
        )
    return text


def _not_empty(data: bytes) -> bytes:
    if not data:
        raise ServiceError("image_empty", "the image has no bytes")
    return data


def _shortened(names: list[str]) -> str:
    more = ", …" if len(names) > _NAMES_TOLD else ""
    return ", ".join(map(reprlib.repr, names[:_NAMES_TOLD])) + more


def _check_count(count: int) -> None:
    if count > MAX_IMAGES:
        raise ServiceError("too_many_images", f"expected up to {MAX_IMAGES} images in one request, got {count}")


def _boundary(content_type: str) -> str | None:
    plain = _PLAIN_BOUNDARY.fullmatch(content_type)
    return plain[2] if plain else parse_options_header(content_type)[1].get("boundary")


def _only_file(body: bytes, boundary: str) -> bytes | None:
    """Return the file of a form that has just one, in our field and the usual spelling; None for any other form."""
    delimiter = b"--" + boundary.encode("latin-1", "replace")
    start = len(delimiter) + 2
    if not body.startswith(delimiter) or body[start - 2 : start] != b"\r\n":
        return None
    head = _PLAIN_HEAD.match(body, start)
    if head is None:
        return None
    end = body.find(b"\r\n" + delimiter, head.end())
    if end < 0 or body[end + start : end + start + 4] not in (b"--", b"--\r\n"):
        return None
    return body[head.end() : end]


def _read_multipart(request: PredictionRequest, limits: ImageLimits) -> Upload:
    boundary = _boundary(request.content_type)
    body = None
    if boundary and request.length is not None and request.length <= PLAIN_FORM_BYTES:
        body = request.read_all()
        only = _only_file(body, boundary)
        if only is not None:
            limits.check_bytes(len(only))
            return Upload((_not_empty(only),), listed=False)
    stream = request if body is None else io.BytesIO(body)
    form = _Form({**request.environ, "wsgi.input": stream, "wsgi.input_terminated": True})
    try:
        return _read_form(form, limits)
    except RequestEntityTooLarge as error:
        message = f"a form may have up to {MAX_FIELDS} fields, and {MAX_FIELD_BYTES} bytes in those that are no files"
        raise ServiceError("image_too_large", message) from error
    finally:
        form.close()


def _read_form(form: _Form, limits: ImageLimits) -> Upload:
    files = form.files.getlist(FIELD)
    if not files:
        fields = sorted({*form.files, *form.form})
        got = f"fields {_shortened(fields)}" if fields else "no field"
        raise ServiceError("image_missing", f"expected a file in the field {FIELD!r}, got {got}")
    _check_count(len(files))
    images = []
    for file in files:
        data = file.read(limits.max_bytes + 1)
        if len(data) > limits.max_bytes:
            file.seek(0, 2)
            limits.check_bytes(file.tell())
        images.append(_not_empty(data))
    return Upload(images, listed=len(images) > 1, top_k=form.form.get("top_k"))


def _read_json(request: PredictionRequest) -> Upload:
    try:
        body = json.loads(request.read_all())
    except ValueError as error:
        raise ServiceError("invalid_json", f"the body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise ServiceError("invalid_json", "the body is nested too deeply") from error
    if not isinstance(body, dict):
        raise ServiceError("invalid_json", f"expected a JSON object, got {type(body).__name__}")
    if ("image" in body) == ("images" in body):
        raise ServiceError("image_missing", 'expected "image": base64, or "images": a list of base64')
    listed = "images" in body
    texts = body["images"] if listed else [body["image"]]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ServiceError("invalid_json", "images are given as text: base64 or a data: URI")
    if not texts:
        raise ServiceError("image_missing", '"images" is an empty list')
    _check_count(len(texts))
    return Upload(texts, listed, body.get("top_k"))
