"""Forms with one file are read by a short way; whatever they look like, it finds what the long way finds."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug import Request
from werkzeug.test import EnvironBuilder

from service.errors import ServiceError
from service.images import ImageLimits
from service.settings import MIB
from service.web.request import PredictionRequest
from service.web.uploads import PLAIN_FORM_BYTES, Upload, read_upload

B = "----form"
HEAD = 'Content-Disposition: form-data; name="image"; filename="a.png"\r\n'
TYPE = "Content-Type: image/png\r\n"


def environ_of(body: bytes) -> dict[str, Any]:
    builder = EnvironBuilder(
        method="POST", input_stream=io.BytesIO(body), content_type=f'multipart/form-data; boundary="{B}"'
    )
    builder.content_length = len(body)
    return builder.get_environ()


def read(body: bytes, limits: ImageLimits | None = None) -> Upload:
    return read_upload(PredictionRequest(environ_of(body), 64 * MIB), limits or ImageLimits())


def form(head: str, data: bytes, end: bytes = b"--\r\n", boundary: str = B) -> bytes:
    return f"--{boundary}\r\n{head}\r\n".encode() + data + f"\r\n--{boundary}".encode() + end


def by_the_long_way(body: bytes) -> list[bytes]:
    return [file.read() for file in Request(environ_of(body)).files.getlist("image")]


FORMS = {
    "as curl writes it": form(HEAD + TYPE, b"data"),
    "without a content type": form(HEAD, b"data"),
    "without a last line break": form(HEAD + TYPE, b"data", b"--"),
    "in lower case": form((HEAD + TYPE).lower(), b"data"),
    "with an empty file name": form(HEAD.replace("a.png", ""), b"data"),
    "with a quotation mark in the name": form(HEAD.replace("a.png", 'a\\".png'), b"data"),
    "with the headers turned around": form(TYPE + HEAD, b"data"),
    "with a header of its own": form(HEAD + TYPE + "X-Own: 1\r\n", b"data"),
    "with text after its end": form(HEAD + TYPE, b"data", b"--\r\nepilogue"),
    "with text before its start": b"preamble\r\n" + form(HEAD + TYPE, b"data"),
    "with line breaks around the data": form(HEAD + TYPE, b"\r\n\r\ndata\r\n"),
    "with two files": form(HEAD + TYPE, b"one", b"\r\n") + form(HEAD + TYPE, b"two")[len(B) + 4 :],
    "larger than the short way takes": form(HEAD + TYPE, b"x" * PLAIN_FORM_BYTES),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_gives_the_files_that_are_in_it(name: str) -> None:
    upload = read(FORMS[name])
    assert list(upload.images) == by_the_long_way(FORMS[name])
    assert upload.images
    assert upload.listed == (len(upload.images) > 1)


@given(st.text("-\r\n:form\0", max_size=60).map(str.encode) | st.binary(max_size=60))
def test_any_data_comes_out_as_it_was(data: bytes) -> None:
    body = form(HEAD + TYPE, data)
    expected = by_the_long_way(body)
    if expected[:1] == [b""]:
        with pytest.raises(ServiceError, match="no bytes"):
            read(body)
    else:
        assert list(read(body).images) == expected


def test_the_limit_of_an_image_holds_for_a_plain_form() -> None:
    with pytest.raises(ServiceError) as raised:
        read(form(HEAD + TYPE, b"12345"), ImageLimits(max_bytes=4))
    assert raised.value.code == "image_too_large"


@pytest.mark.parametrize("end", [b"", b"-", b"\r\n"])
def test_a_form_that_is_cut_off_is_refused_or_read_as_the_long_way_reads_it(end: bytes) -> None:
    body = form(HEAD + TYPE, b"data", end)
    try:
        expected = by_the_long_way(body)
    except Exception as error:
        with pytest.raises(type(error)):
            read(body)
        return
    if expected:
        assert list(read(body).images) == expected
    else:
        with pytest.raises(ServiceError, match="expected a file"):
            read(body)


def chunked(body: bytes) -> dict[str, Any]:
    environ = environ_of(body) | {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    del environ["CONTENT_LENGTH"]
    return environ


def test_a_form_of_unknown_length_is_read_while_it_arrives() -> None:
    upload = read_upload(PredictionRequest(chunked(FORMS["with two files"]), 64 * MIB), ImageLimits())
    assert list(upload.images) == [b"one", b"two"]


@pytest.mark.parametrize("of", [environ_of, chunked])
def test_a_form_over_the_limit_of_bodies_is_too_large(of: Callable[[bytes], dict[str, Any]]) -> None:
    request = PredictionRequest(of(FORMS["larger than the short way takes"]), 100_000)
    with pytest.raises(ServiceError, match="up to 100000 bytes") as raised:
        read_upload(request, ImageLimits())
    assert raised.value.code == "image_too_large"


@pytest.mark.parametrize("field", [b"x" * 600_000, b"x"])
def test_what_is_no_file_is_bounded_for_itself(field: bytes) -> None:
    one = b'--%b\r\nContent-Disposition: form-data; name="other"\r\n\r\n%b\r\n' % (B.encode(), field)
    count = 1 if len(field) > 500_000 else 1001
    with pytest.raises(ServiceError, match="1000 fields, and 500000 bytes") as raised:
        read(one * count + form(HEAD + TYPE, b"data"))
    assert raised.value.code == "image_too_large"
