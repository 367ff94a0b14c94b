"""Forms with one file are read by a short way; whatever they look like, it finds what the long way finds."""

from __future__ import annotations

import io

import pytest
from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from service.errors import ServiceError
from service.images import ImageLimits
from service.web.uploads import PLAIN_FORM_BYTES, read_upload

B = "----form"
HEAD = 'Content-Disposition: form-data; name="image"; filename="a.png"\r\n'
TYPE = "Content-Type: image/png\r\n"


def request_of(body: bytes, boundary: str = B) -> Request:
    builder = EnvironBuilder(
        method="POST", input_stream=io.BytesIO(body), content_type=f'multipart/form-data; boundary="{boundary}"'
    )
    builder.content_length = len(body)
    return Request(builder.get_environ())


def form(head: str, data: bytes, end: bytes = b"--\r\n", boundary: str = B) -> bytes:
    return f"--{boundary}\r\n{head}\r\n".encode() + data + f"\r\n--{boundary}".encode() + end


def by_the_long_way(body: bytes) -> list[bytes]:
    return [file.read() for file in request_of(body).files.getlist("image")]


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
    upload = read_upload(request_of(FORMS[name]), ImageLimits())
    assert upload.images == by_the_long_way(FORMS[name])
    assert upload.images
    assert upload.listed == (len(upload.images) > 1)


@given(st.text("-\r\n:form\0", max_size=60).map(str.encode) | st.binary(max_size=60))
def test_any_data_comes_out_as_it_was(data: bytes) -> None:
    body = form(HEAD + TYPE, data)
    expected = by_the_long_way(body)
    if expected[:1] == [b""]:
        with pytest.raises(ServiceError, match="no bytes"):
            read_upload(request_of(body), ImageLimits())
    else:
        assert read_upload(request_of(body), ImageLimits()).images == expected


def test_the_limit_of_an_image_holds_for_a_plain_form() -> None:
    with pytest.raises(ServiceError) as raised:
        read_upload(request_of(form(HEAD + TYPE, b"12345")), ImageLimits(max_bytes=4))
    assert raised.value.code == "image_too_large"


@pytest.mark.parametrize("end", [b"", b"-", b"\r\n"])
def test_a_form_that_is_cut_off_is_refused_or_read_as_the_long_way_reads_it(end: bytes) -> None:
    body = form(HEAD + TYPE, b"data", end)
    try:
        expected = by_the_long_way(body)
    except Exception as error:
        with pytest.raises(type(error)):
            read_upload(request_of(body), ImageLimits())
        return
    if expected:
        assert read_upload(request_of(body), ImageLimits()).images == expected
    else:
        with pytest.raises(ServiceError, match="expected a file"):
            read_upload(request_of(body), ImageLimits())
