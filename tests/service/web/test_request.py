"""A prediction request: its query, and a body that is read within bounds, whatever the client does."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable
from typing import Any

import pytest

from service.errors import ServiceError
from service.web.request import PIECE_BYTES, PredictionRequest


class Arriving:
    """A body in pieces; an exception among them is raised."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = list(pieces)

    def read1(self, size: int) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        if len(piece) > size:
            self.pieces.insert(0, piece[size:])
        return piece[:size]


class Whole(io.BytesIO):
    """A body of a server that cannot tell what is there already."""

    read1 = None

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked: list[int] = []

    def read(self, size: int | None = -1) -> bytes:
        self.asked.append(size or 0)
        return super().read(size)


def request(body: Any = None, *, length: int | None = 0, most: int = 1000, **environ: str) -> PredictionRequest:
    framing = {"HTTP_TRANSFER_ENCODING": "chunked"} if length is None else {"CONTENT_LENGTH": str(length)}
    terminated = {"wsgi.input_terminated": True}
    return PredictionRequest({"wsgi.input": body or Arriving(), **terminated, **framing, **environ}, most)


def code(act: Any) -> str:
    with pytest.raises(ServiceError) as raised:
        act()
    return raised.value.code


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ("", {}),
        ("model=cats&top_k=3", {"model": "cats", "top_k": "3"}),
        ("top_k=1&top_k=2", {"top_k": "1"}),
        ("top_k=", {"top_k": ""}),
        ("model=a%20b+c", {"model": "a b c"}),
        ("model=\xc3\xbc&x", {"model": "ü", "x": ""}),
        ("model=%ff", {"model": "\N{REPLACEMENT CHARACTER}"}),
    ],
)
def test_of_the_query_the_first_value_of_each_name_counts(query: str, arguments: dict[str, str]) -> None:
    assert request(QUERY_STRING=query).arguments == arguments


@pytest.mark.parametrize("pieces", [[b"abcdef"], [b"ab", b"cd", b"ef"]])
def test_a_body_that_comes_in_pieces_is_put_together(pieces: Iterable[bytes]) -> None:
    assert request(Arriving(*pieces), length=6).read_all() == b"abcdef"
    assert request(Arriving(*pieces), length=None).read_all() == b"abcdef"


def test_a_server_that_waits_for_all_is_asked_for_pieces() -> None:
    body = Whole(b"x" * (PIECE_BYTES + 10))
    assert request(body, length=PIECE_BYTES + 10, most=2 * PIECE_BYTES).read_all() == body.getvalue()
    assert body.asked == [PIECE_BYTES, 10]


def test_a_request_without_a_body_has_an_empty_one() -> None:
    assert request(Arriving(b"of the next request")).read_all() == b""


def test_no_more_is_read_of_a_body_of_known_length_than_that() -> None:
    body = Arriving(b"abcdefgh")
    assert request(body, length=6).read_all() == b"abcdef"
    assert body.pieces == [b"gh"]


def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    body = Arriving(b"x" * 2000)
    assert code(request(body, length=2000).read_all) == "image_too_large"
    assert code(request(body, length=2000).read) == "image_too_large"
    assert body.pieces == [b"x" * 2000]


def test_a_body_of_unknown_length_is_refused_with_the_first_byte_over_the_limit() -> None:
    assert request(Arriving(b"x" * 1000), length=None).read_all() == b"x" * 1000
    body = Arriving(b"x" * 1500)
    assert code(request(body, length=None).read_all) == "image_too_large"
    assert body.pieces == [b"x" * 499]
    streamed = request(Arriving(b"x" * 800, b"x" * 800), length=None)
    assert streamed.read() == b"x" * 800
    assert code(streamed.read) == "image_too_large"


def test_where_the_caller_has_a_limit_of_its_own_one_byte_more_tells() -> None:
    assert request(Arriving(b"x" * 50), length=None).read_all(20) == b"x" * 21


@pytest.mark.parametrize("broken", [b"", ConnectionResetError("reset")], ids=["end", "reset"])
def test_a_body_that_is_cut_is_that_of_a_client_that_hung_up(broken: bytes | Exception) -> None:
    assert code(request(Arriving(b"abc", broken), length=6).read_all) == "client_gone"


def test_a_pause_is_for_the_caller_to_judge_but_at_the_deadline() -> None:
    stalled = request(Arriving(TimeoutError()), length=6)
    with pytest.raises(TimeoutError):
        stalled.read_all()
    late = request(Arriving(TimeoutError()), length=6)
    late.deadline = time.monotonic() - 1
    assert code(late.read_all) == "deadline_exceeded"


def test_a_body_that_trickles_in_is_read_no_longer_than_to_the_deadline() -> None:
    body = Arriving(b"a", b"b", b"c")
    late = request(body, length=6)
    late.deadline = time.monotonic() - 1
    assert code(late.read_all) == "deadline_exceeded"
    assert body.pieces == [b"b", b"c"]


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "6 "])
def test_a_wrong_length_is_a_bad_request(length: str) -> None:
    assert code(lambda: request(CONTENT_LENGTH=length)) == "bad_request"
