"""What a request is answered: a status, JSON, and headers; for WSGI and for Flask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from http.client import responses
from types import MappingProxyType
from typing import NamedTuple
from wsgiref.types import StartResponse

from flask import Response

JSON = "application/json"

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Answer(NamedTuple):
    """A finished answer.

    Attributes:
        status: HTTP status.
        body: JSON as UTF-8.
        headers: Beside Content-Type and Content-Length.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = _NO_HEADERS

    def send(self, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI application does."""
        headers = [("Content-Type", JSON), ("Content-Length", str(len(self.body))), *self.headers.items()]
        start_response(_status_line(self.status), headers)
        return [self.body]

    def as_response(self) -> Response:
        """Return it as what a Flask view returns."""
        return Response(self.body, self.status, self.headers, content_type=JSON)


@cache
def _status_line(status: int) -> str:
    return f"{status} {responses.get(status, 'Failed')}"
