"""`wsgi.input`: however a body is cut on its way, and however it is read."""

from __future__ import annotations

import io
import itertools
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ServiceError
from service.web.http.body import CHUNK_LINE_BYTES, TRAILER_BYTES, RequestBody, body_of

NEXT = b"GET / HTTP/1.1\r\n"


class Pieces:
    """A connection that brings its data in pieces, each of at most as much as was asked for."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.left = b"".join(pieces)
        self._sizes = [len(piece) for piece in pieces if piece]

    def gettimeout(self) -> None:
        return None

    def recv(self, most: int) -> bytes:
        size = min(most, self._sizes.pop(0)) if self._sizes else most
        piece, self.left = self.left[:size], self.left[size:]
        return piece


def in_chunks(parts: list[bytes], trailer: bytes = b"") -> bytes:
    chunks = [b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in parts if part]
    return b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(ends)] or [b""]


def arriving(length: int | None, pieces: list[bytes]) -> tuple[RequestBody, Pieces]:
    client: Any = Pieces(pieces[1:])
    body, following = body_of(length, pieces[0], client, False)
    body.following = body.following or following
    return body, client


@given(
    parts=st.lists(st.binary(max_size=40), max_size=6),
    places=st.lists(st.integers(0, 400), max_size=12),
    sizes=st.lists(st.integers(0, 30), max_size=20),
    chunked=st.booleans(),
)
def test_it_reads_as_a_file_of_the_same_bytes_does(
    parts: list[bytes], places: list[int], sizes: list[int], chunked: bool
) -> None:
    whole = b"".join(parts).replace(b"\x01", b"\n")
    data = in_chunks([part.replace(b"\x01", b"\n") for part in parts], b"T: x\r\n") if chunked else whole
    body, client = arriving(None if chunked else len(whole), cut(data + NEXT, places))
    file = io.BytesIO(whole)
    for number, size in enumerate(sizes):
        method = ("read", "readline")[number % 2]
        assert getattr(body, method)(size) == getattr(file, method)(size)
    assert body.readlines() == file.readlines()
    assert body.read() == b""
    assert body.is_complete
    assert body.following + client.left == NEXT  # not a byte of what follows is lost


@given(st.binary(min_size=1, max_size=60), st.booleans(), st.data())
def test_one_that_ends_early_is_no_whole_body(whole: bytes, chunked: bool, data: st.DataObject) -> None:
    sent = in_chunks([whole]) if chunked else whole
    short = sent[: data.draw(st.integers(0, len(sent) - 1))]
    body, _ = arriving(None if chunked else len(whole), cut(short, [7, 20]))
    with pytest.raises(ConnectionResetError, match="hung up"):
        body.read()
    assert body.is_broken
    assert not body.is_complete


@pytest.mark.parametrize(
    "raw",
    [
        b"zz\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n",
        b"5 5\r\n",
        b"5\nhello\n",
        b"5;a\nb\r\nhello\r\n",
        b"5\rhello\r\n",
        b"5;a\r\r\nhello\r\n",
        b"0\r\nX: y\n\r\n",
        b"5\r\nhello!\r\n",
        b"5\r\nhello\n",
        b"f" * 16 + b"\r\n",
        b"5" + b" " * CHUNK_LINE_BYTES + b"\r\n",
        b"5;" + b"x" * (CHUNK_LINE_BYTES + 1),
        b"0\r\n" + b"X: y\r\n" * TRAILER_BYTES,
    ],
)
@pytest.mark.parametrize("step", [1, 100_000])
def test_malformed_chunks_are_the_clients_mistake(raw: bytes, step: int) -> None:
    body, _ = arriving(None, cut(raw, list(range(0, len(raw), step))))
    with pytest.raises(ServiceError) as failure:
        body.read()
    assert failure.value.code == "bad_request"
    assert body.is_broken


def test_chunks_without_end_are_never_held_beyond_what_was_asked_for() -> None:
    pieces = [b"1\r\nx\r\n" * 1000] * 100
    body, client = arriving(None, [*pieces, b"0\r\n\r\n"])
    assert body.read(10) == b"x" * 10
    assert len(client.left) > 500_000


def test_what_came_with_the_head_is_handed_over_as_it_is() -> None:
    data = b"x" * 1000
    body, _ = arriving(1000, [data])
    assert body.read() is data


@pytest.mark.parametrize("chunked", [False, True])
def test_read1_waits_for_one_piece_at_most(chunked: bool) -> None:
    data = in_chunks([b"abcdef", b"ghi"]) if chunked else b"abcdefghi"
    pieces = [b"", data[: len(data) // 2], data[len(data) // 2 :] + NEXT]
    body, client = arriving(None if chunked else 9, pieces)
    first = body.read1(100)
    assert 0 < len(first) < 9
    assert client.left, "the second piece was not asked for"
    read = first
    while piece := body.read1(2):
        assert len(piece) <= 2
        read += piece
    assert read == b"abcdefghi"
    assert body.is_complete


@pytest.mark.parametrize("raw", [b"5;" + b"x" * 100, b"0\r\nX: " + b"y" * 100], ids=["chunk", "trailer"])
def test_what_only_frames_a_body_does_not_hold_it_open(raw: bytes) -> None:
    class Dripping:
        """Brings a byte each time, within the timeout."""

        def __init__(self) -> None:
            self.left = raw

        def gettimeout(self) -> float:
            return 0.05

        def recv(self, most: int) -> bytes:
            time.sleep(0.01)
            piece, self.left = self.left[:1], self.left[1:]
            return piece

    client: Any = Dripping()
    body, _ = body_of(None, b"", client, False)
    with pytest.raises(TimeoutError, match="frames"):
        body.read1()
    assert body.is_broken
    assert len(client.left) > 50
