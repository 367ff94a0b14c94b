"""What a prediction request holds: images from multipart, raw or JSON bodies, and its parameters."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from service.errors import ServiceError
from service.images import ImageLimits, read_base64
from service.repository import ServedModel

MAX_IMAGES = 32
DEADLINE_HEADER = "X-Deadline-Ms"
FIELD = "image"
# Forms up to this size are read whole first: most hold one file and nothing else, and are taken apart at sight.
PLAIN_FORM_BYTES = 1024 * 1024

_PLAIN_HEAD = re.compile(
    rb'Content-Disposition: form-data; name="%b"; filename="[^"\\\r\n]*"\r\n(?:Content-Type: [^\r\n]*\r\n)?\r\n'
    % FIELD.encode(),
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Upload:
    """The images of one request.

    Attributes:
        images: File contents, one to MAX_IMAGES, not decoded yet.
        listed: Whether the answer is a list of predictions per image rather than the one image's.
        top_k: `top_k` from the body, not checked yet; None when it is not there.
    """

    images: list[bytes]
    listed: bool
    top_k: Any = None


def read_upload(request: Request, limits: ImageLimits) -> Upload:
    """Read the body of a prediction request.

    Raises:
        ServiceError: image_missing, image_empty, image_too_large, too_many_images, invalid_json,
            invalid_base64, unsupported_media_type.
        werkzeug.exceptions.RequestEntityTooLarge: the body is larger than the application allows.
    """
    kind = request.mimetype
    if request.content_encoding and request.content_encoding.lower() != "identity":
        raise ServiceError(
            "unsupported_media_type", f"send the body as it is, not in {request.content_encoding!r} coding"
        )
    if kind == "multipart/form-data":
        return _read_multipart(request, limits)
    if kind == "application/json" or kind.endswith("+json"):
        return _read_json(request, limits)
    if kind.startswith("image/") or kind == "application/octet-stream":
        # No other body is one image, so that only here the smaller limit holds before it is read. A body of
        # unknown length is read up to the limit and cut there, so that one byte more tells that it was.
        limits.check_bytes(request.content_length or 0)
        request.max_content_length = limits.max_bytes + 1
        data = request.get_data(cache=False)
        limits.check_bytes(len(data))
        return Upload([_not_empty(data)], listed=False)
    if not kind and not request.content_length and not request.headers.get("Transfer-Encoding"):
        raise ServiceError("image_missing", "the request has no body; send an image")
    raise ServiceError(
        "unsupported_media_type",
        "expected multipart/form-data, image/*, application/octet-stream or application/json, "
        f"got {kind or 'no Content-Type'}",
    )


def chosen_top_k(request: Request, upload: Upload, model: ServedModel) -> int:
    """Return how many predictions to answer: from the query, else the body, else the model's own number.

    Raises:
        ServiceError: invalid_parameter, unless it is a whole number from 1 to the number of labels.
    """
    value = request.args.get("top_k", upload.top_k)
    if value is None:
        return model.top_k
    most = len(model.labels)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ServiceError("invalid_parameter", f"top_k: expected a whole number, 1 to {most}, got {value!r}")
    return value


def chosen_deadline_s(request: Request, model: ServedModel, longest_s: float) -> float:
    """Return the seconds that a request may take: the model's and `longest_s`, lowered by X-Deadline-Ms.

    Raises:
        ServiceError: invalid_parameter, unless the header is a number above 0.
    """
    deadline_s = min(model.deadline_s, longest_s)
    text = request.headers.get(DEADLINE_HEADER)
    if text is None:
        return deadline_s
    try:
        asked_s = float(text) / 1000
    except ValueError:
        asked_s = math.nan
    if not asked_s > 0:
        raise ServiceError("invalid_parameter", f"{DEADLINE_HEADER}: expected milliseconds above 0, got {text!r}")
    return min(deadline_s, asked_s)


def _not_empty(data: bytes) -> bytes:
    if not data:
        raise ServiceError("image_empty", "the image has no bytes")
    return data


def _check_count(count: int) -> None:
    if count > MAX_IMAGES:
        raise ServiceError("too_many_images", f"expected up to {MAX_IMAGES} images in one request, got {count}")


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


def _read_multipart(request: Request, limits: ImageLimits) -> Upload:
    boundary = request.mimetype_params.get("boundary")
    if boundary and 0 < (request.content_length or 0) <= PLAIN_FORM_BYTES:
        only = _only_file(request.get_data(), boundary)
        if only is not None:
            limits.check_bytes(len(only))
            return Upload([_not_empty(only)], listed=False)
    files = request.files.getlist(FIELD)
    if not files:
        fields = sorted({*request.files, *request.form})
        got = "fields " + ", ".join(map(repr, fields)) if fields else "no field"
        raise ServiceError("image_missing", f"expected a file in the field {FIELD!r}, got {got}")
    _check_count(len(files))
    images = []
    for file in files:
        data = file.read(limits.max_bytes + 1)
        if len(data) > limits.max_bytes:
            file.seek(0, 2)
            limits.check_bytes(file.tell())
        images.append(_not_empty(data))
    return Upload(images, listed=len(images) > 1, top_k=request.form.get("top_k"))


def _read_json(request: Request, limits: ImageLimits) -> Upload:
    data = request.get_data(cache=False)
    if request.max_content_length is not None and len(data) >= request.max_content_length:
        raise RequestEntityTooLarge  # one of unknown length was cut at the limit
    try:
        body = json.loads(data)
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
    images = [_not_empty(read_base64(text, limits)) for text in texts]
    return Upload(images, listed, body.get("top_k"))
