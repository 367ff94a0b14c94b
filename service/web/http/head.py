"""The head of a request: parsed by llhttp, checked, and laid out as a WSGI environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

# Bytes of a head, from the request line to the empty line; and fields in it.
HEAD_BYTES = 64 * 1024
HEAD_FIELDS = 100

_END = b"\r\n\r\n"
_ONCE = frozenset({"HTTP_HOST", "CONTENT_TYPE"})
# Names of fields as they come, and their keys in the environment; "" for those that are left out.
_KEYS: dict[bytes, str] = {b"Content-Type": "CONTENT_TYPE", b"Content-Length": "CONTENT_LENGTH"}
_MOST_KEYS = 1000
_LONGEST_KEY = 64


class RequestError(Exception):
    """A request that cannot be understood or is not taken.

    Args:
        status: HTTP status of the answer.
        message: What was wrong, what was expected, what came.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class RequestHead:
    """The request line and the fields of one request, taken in as they arrive.

    Args:
        environ: What the environment holds before; it is copied.
        scheme_fields: Environment keys of the fields by which the peer may say that it was reached by HTTPS, each
            with the value that says so; empty for a peer that is not trusted.

    Attributes:
        environ: The WSGI environment, without `wsgi.input`; whole once `feed` has returned bytes.
        length: Bytes of the body; None for one in chunks.
        keep_alive: Whether the client wants the connection kept.
        is_http_1_0: Whether the client knows no better than HTTP/1.0.
        awaits_continue: Whether the client sends the body only when it is asked to.
    """

    __slots__ = (
        "_fed",
        "_fields",
        "_parser",
        "_received",
        "_repeated",
        "_scheme_fields",
        "_target",
        "awaits_continue",
        "environ",
        "is_http_1_0",
        "keep_alive",
        "length",
    )

    # The parser asks for all of these; what is not there would cost it an AttributeError each.
    on_message_begin = on_headers_complete = on_body = on_message_complete = on_chunk_header = on_chunk_complete = None

    def __init__(self, environ: Mapping[str, Any], scheme_fields: Mapping[str, str]) -> None:
        self.environ: dict[str, Any] = dict(environ)
        self.length: int | None = 0
        self.keep_alive = True
        self.is_http_1_0 = False
        self.awaits_continue = False
        self._scheme_fields = scheme_fields
        self._received = b""
        self._fed = 0
        self._fields = 0
        self._target = b""
        self._repeated = ""
        self._parser: HttpRequestParser | None = HttpRequestParser(self)

    @property
    def has_begun(self) -> bool:
        """Whether any of it has come."""
        return bool(self._received)

    def feed(self, received: bytes) -> bytes | None:
        """Take the next bytes; return those that follow the head, or None while it is not complete.

        Raises:
            RequestError: with 400, 405 or 431.
        """
        if self._received:
            received = self._received + received
        elif received[0] in b"\r\n":  # empty lines before a request are left over from the one before
            received = received.lstrip(b"\r\n")
            if not received:
                return None
        end = received.find(_END, max(0, self._fed - 3)) + len(_END)
        complete = end >= len(_END)
        if (end if complete else len(received)) > HEAD_BYTES:
            raise RequestError(431, f"the head of a request may have up to {HEAD_BYTES} bytes, this one has more")
        parser = self._parser
        assert parser is not None, "the head was complete"
        try:
            parser.feed_data(received[self._fed : end] if complete else received[self._fed :])
        except HttpParserUpgrade:
            pass  # what the request is itself comes by HTTP/1.1 all the same
        except HttpParserError as error:
            raise RequestError(400, f"the request is not valid HTTP/1.1: {error}") from None
        if not complete:
            self._received, self._fed = received, len(received)
            return None
        self._parser = None  # they refer to each other
        self._finish(parser.get_method(), received)
        return received[end:]

    def on_url(self, part: bytes) -> None:
        """Take (a part of) the request target; the parser calls it."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one field; the parser calls it."""
        self._fields += 1
        key = _KEYS.get(name)
        if key is None:
            key = _new_key(name)
        text = value.decode("latin-1").rstrip(" \t")
        environ = self.environ
        if key in environ:
            if key in _ONCE:
                self._repeated = name.decode("latin-1")
            text = f"{environ[key]},{text}"
        if key:
            environ[key] = text

    def _finish(self, method: bytes, received: bytes) -> None:
        environ = self.environ
        line = received[: received.find(b"\r\n")]
        version = line[-8:]
        if version == b"HTTP/1.1":
            if "HTTP_HOST" not in environ:
                raise RequestError(400, "HTTP/1.1 expects a Host field, there is none")
        elif version == b"HTTP/1.0":
            self.is_http_1_0 = True
        else:
            raise RequestError(400, f"expected HTTP/1.0 or HTTP/1.1, got {line[-20:].decode('latin-1')!r}")
        if self._fields > HEAD_FIELDS:
            raise RequestError(431, f"a request may have up to {HEAD_FIELDS} header fields, got {self._fields}")
        if self._repeated:
            raise RequestError(400, f"expected one {self._repeated} field, got several")
        if method == b"CONNECT":
            raise RequestError(405, "this is no proxy: CONNECT is not answered")
        environ["REQUEST_METHOD"] = method.decode("latin-1")
        environ["SERVER_PROTOCOL"] = version.decode("latin-1")
        self._set_target()
        self._set_framing()
        if self._scheme_fields:
            self._set_scheme()

    def _set_target(self) -> None:
        environ = self.environ
        target = self._target
        environ["RAW_URI"] = environ["REQUEST_URI"] = target.decode("latin-1")
        target = target.partition(b"#")[0]
        path, _, query = target.partition(b"?")
        if not path.startswith(b"/"):  # as to a proxy: http://host/path
            path = b"/" + path.partition(b"://")[2].partition(b"/")[2] if b"://" in path else path
        if b"%" in path:
            path = unquote_to_bytes(path)
        environ["PATH_INFO"] = path.decode("latin-1")
        environ["QUERY_STRING"] = query.decode("latin-1")

    def _set_framing(self) -> None:
        environ = self.environ
        if "HTTP_TRANSFER_ENCODING" in environ:
            coding = environ["HTTP_TRANSFER_ENCODING"]
            if coding.lower() != "chunked" or self.is_http_1_0 or "CONTENT_LENGTH" in environ:
                raise RequestError(400, f"Transfer-Encoding: expected 'chunked' alone, over HTTP/1.1, got {coding!r}")
            self.length = None
        elif "CONTENT_LENGTH" in environ:
            self.length = int(environ["CONTENT_LENGTH"])  # the parser has refused what is no number
        if "HTTP_CONNECTION" in environ:
            options = [option.strip() for option in environ["HTTP_CONNECTION"].lower().split(",")]
            self.keep_alive = "close" not in options and (not self.is_http_1_0 or "keep-alive" in options)
        else:
            self.keep_alive = not self.is_http_1_0
        if "HTTP_EXPECT" in environ and not self.is_http_1_0:
            self.awaits_continue = environ["HTTP_EXPECT"].lower() == "100-continue" and self.length != 0

    def _set_scheme(self) -> None:
        environ = self.environ
        said = {
            "https" if environ[key] == secure else "http"
            for key, secure in self._scheme_fields.items()
            if key in environ
        }
        if len(said) > 1:
            raise RequestError(400, "the fields that name the client's scheme contradict each other")
        if said:
            environ["wsgi.url_scheme"] = said.pop()


def environ_key(name: str) -> str:
    """Return the key of a field in a WSGI environment."""
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def _new_key(name: bytes) -> str:
    # X_Real_Ip would be taken for X-Real-Ip, which a proxy has checked: it is left out.
    key = "" if b"_" in name else environ_key(name.decode("latin-1"))
    if len(name) <= _LONGEST_KEY and len(_KEYS) < _MOST_KEYS:
        _KEYS[name] = key
    return key
