"""Request bodies: any server takes the image out of them unchanged."""

from __future__ import annotations

import base64
import io
import json

import pytest
from werkzeug.formparser import parse_form_data

from clients.load.bodies import body_of, media_type, request_of
from clients.load.numbered import encode, encode_jpeg

IMAGE = encode(77)


def test_a_form_holds_the_image_as_a_file() -> None:
    body = body_of("multipart", IMAGE)
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": body.content_type.decode(),
        "CONTENT_LENGTH": str(len(body.content)),
        "wsgi.input": io.BytesIO(body.content),
    }
    _, fields, files = parse_form_data(environ)
    assert (dict(fields), list(files)) == ({}, ["image"])
    assert files["image"].read() == IMAGE
    assert files["image"].mimetype == "image/png"


def test_json_holds_it_as_base64() -> None:
    body = body_of("json", IMAGE)
    assert body.content_type == b"application/json"
    assert base64.b64decode(json.loads(body.content)["image"]) == IMAGE


def test_raw_is_the_image_itself() -> None:
    assert body_of("raw", IMAGE) == (b"image/png", IMAGE)


def test_another_form_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected a form among multipart, raw, json, got 'xml'"):
        body_of("xml", IMAGE)


def test_files_are_known_by_their_first_bytes() -> None:
    assert [media_type(each) for each in (IMAGE, encode_jpeg(1), b"GIF89a")] == [
        b"image/png",
        b"image/jpeg",
        b"application/octet-stream",
    ]


def test_a_request_ends_its_head_and_tells_its_length() -> None:
    head, _, body = request_of(b"POST / HTTP/1.1\r\nHost: x\r\n", body_of("raw", IMAGE)).partition(b"\r\n\r\n")
    assert body == IMAGE
    assert head.split(b"\r\n")[2:] == [b"Content-Type: image/png", b"Content-Length: %d" % len(IMAGE)]
