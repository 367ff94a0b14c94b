"""One client's connection: request after request, each answered by the application before the next is read."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from wsgiref.types import WSGIApplication

from service.errors import CODE_OF_STATUS, error_body
from service.telemetry import log_event
from service.web.http.body import PIECE_BYTES, RequestBody, body_of
from service.web.http.head import RequestError, RequestHead
from service.web.http.response import ClientGoneError, Response

# Bytes of the first read: most requests are whole in it.
_RECEIVE_BYTES = 64 * 1024
_REASONS = {
    400: "Bad Request",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}
_NO_LINGER = struct.pack("ii", 1, 0)
_NO_BODY = RequestBody()

# What a connection is doing.
_AT_WORK, _IDLE, _IN_HEAD, _DISCARDING = range(4)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long a client is waited for, in seconds.

    Attributes:
        keep_alive_s: For the next request. Longer than the 60 s of nginx, so that it is never this side that closes a
            connection about to be used.
        head_s: From the first byte of a head to its last.
        stall_s: While it reads nothing of its answer, or sends nothing of a body unless the application says otherwise.
        discard_s: While what is left of a request is read away after its answer. Closing a connection with unread
            data resets it, and the reset may overtake the answer.
        settled_s: For the next request while the process stops: a connection idle for less may be about to send it.
    """

    keep_alive_s: float = 75.0
    head_s: float = 10.0
    stall_s: float = 30.0
    discard_s: float = 5.0
    settled_s: float = 0.5


PATIENCE = Patience()


class Connection:
    """A client's connection; `serve` runs in a greenlet or thread of its own, `expire` in any other.

    Args:
        client: The connected socket.
        environ: What every request's environment holds.
        scheme_fields: See `RequestHead`.
        application: The WSGI application.
        is_stopping: Asked for every answer: whether it is the connection's last.
        wait_readable: Returns when the socket can be read.
        patience: How long the client is waited for.
    """

    def __init__(
        self,
        client: socket.socket,
        environ: Mapping[str, Any],
        scheme_fields: Mapping[str, str],
        application: WSGIApplication,
        is_stopping: Callable[[], bool],
        wait_readable: Callable[[], object],
        patience: Patience = PATIENCE,
    ) -> None:
        self._client = client
        self._environ = environ
        self._scheme_fields = scheme_fields
        self._application = application
        self._is_stopping = is_stopping
        self._wait_readable = wait_readable
        self._patience = patience
        self._following = b""  # received after the request before
        self._doing = _AT_WORK
        self._since = 0.0
        self._is_expired = False
        self._head: RequestHead
        self._body = _NO_BODY

    def serve(self) -> None:
        """Answer requests until either side ends the connection; closes the socket."""
        client = self._client
        client.settimeout(self._patience.stall_s)
        try:
            while self._serve_request():
                pass
        except RequestError as error:
            self._refuse(error)
        except ClientGoneError as error:
            if isinstance(error.__cause__, TimeoutError):
                log_event(log, logging.INFO, "client reads nothing", seconds=self._patience.stall_s, client=self._peer)
                with contextlib.suppress(OSError):  # what it did not read need not be kept for it
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        except OSError as error:  # reset while it was idle
            log.debug("connection ended: %s", error)
        except Exception as error:
            log_event(log, logging.ERROR, "connection failed", exc_info=error, error=str(error), client=self._peer)
        finally:
            client.close()

    def expire(self, stopping: bool) -> None:
        """End the wait for a client that takes too long.

        Args:
            stopping: Whether idle connections are to end now, apart from those that have just become idle.
        """
        doing = self._doing
        if doing == _AT_WORK:
            return
        patience = self._patience
        if doing == _IDLE:
            longest_s = patience.settled_s if stopping else patience.keep_alive_s
        else:
            longest_s = patience.head_s if doing == _IN_HEAD else patience.discard_s
        if time.monotonic() - self._since <= longest_s or (doing == _IDLE and self._has_sent()):
            return
        self._is_expired = True
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RD)  # wakes whoever waits to read

    @property
    def _peer(self) -> str:
        return str(self._environ.get("REMOTE_ADDR", ""))

    def _has_sent(self) -> bool:
        """Whether there is something to read: then `serve` is about to do so."""
        client = self._client
        timeout = client.gettimeout()
        try:
            client.settimeout(0)
            client.recv(1, socket.MSG_PEEK)
        except OSError as error:
            return not isinstance(error, BlockingIOError)
        finally:
            client.settimeout(timeout)
        return True

    def _serve_request(self) -> bool:
        """Answer the next request; False once the connection has ended."""
        following = self._read_head()
        if following is None:
            return False
        head = self._head
        self._body, self._following = body_of(head.length, following, self._client, head.awaits_continue)
        body, environ = self._body, head.environ
        environ["wsgi.input"] = body
        response = Response(self._client, environ["REQUEST_METHOD"] != "HEAD", head.is_http_1_0, self._must_close)
        self._answer(environ, response)
        if not body.is_complete and not self._discard(body):
            return False
        if body.following:
            self._following = body.following
        self._body = _NO_BODY  # an idle connection holds none
        if not response.keep_alive and self._has_sent():
            self._linger()
        return response.keep_alive

    def _read_head(self) -> bytes | None:
        """Read the next head; returns what follows it, or None at the end of the connection."""
        head = self._head = RequestHead(self._environ, self._scheme_fields)
        received, self._following = self._following, b""
        doing = _IDLE
        while True:
            if received:
                following = head.feed(received)
                if following is not None:
                    self._doing = _AT_WORK
                    return following
                doing = _IN_HEAD if head.has_begun else _IDLE
            if self._doing != doing:
                self._doing, self._since = doing, time.monotonic()
            self._wait_readable()
            received = self._client.recv(_RECEIVE_BYTES)
            if self._is_expired:
                if doing == _IN_HEAD:
                    raise RequestError(
                        408, f"the head of the request did not arrive within {self._patience.head_s:g} s"
                    )
                return None
            if not received:
                return None

    def _must_close(self) -> bool:
        body = self._body
        if body.awaits_continue:  # too late to ask for it; whether it comes is the client's choice
            body.awaits_continue, body.is_broken = False, True
        return body.is_broken or not self._head.keep_alive or self._is_stopping()

    def _answer(self, environ: dict[str, Any], response: Response) -> None:
        result: Iterable[bytes] = ()
        try:
            result = self._application(environ, response.start_response)
            response.send(result)
        except ClientGoneError:
            raise
        except Exception as error:
            if self._body.is_broken:  # what the application made of it is not the service's failure
                if response.is_begun or isinstance(error, ConnectionError):
                    raise ClientGoneError(str(error)) from None
                raise RequestError(408 if isinstance(error, TimeoutError) else 400, str(error)) from None
            message = "the service failed; its log says why"
            log_event(
                log,
                logging.ERROR,
                "request failed",
                exc_info=error,
                code="internal_error",
                status=500,
                method=environ["REQUEST_METHOD"],
                path=environ["PATH_INFO"],
                message=str(error),
            )
            if response.is_begun:
                raise ClientGoneError("the answer was cut off") from None
            fields = [("Content-Type", "application/json")]
            response.start_response(_status(500), fields, sys.exc_info())
            response.send([error_body("internal_error", message)])
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _refuse(self, error: RequestError) -> None:
        """Answer what is no request, and end the connection."""
        self._doing = _AT_WORK
        status, message = error.status, error.message
        code = CODE_OF_STATUS.get(status, "bad_request")
        log_event(log, logging.INFO, "request failed", code=code, status=status, message=message, client=self._peer)
        response = Response(self._client, True, False, lambda: True)
        with contextlib.suppress(ClientGoneError):
            response.start_response(_status(status), [("Content-Type", "application/json")])
            response.send([error_body(code, message)])
            self._linger()

    def _discard(self, body: RequestBody) -> bool:
        """Read the rest of a body away; False where that is not possible or takes too long."""
        if not body.is_broken:
            self._start_discarding()
            try:
                while not body.is_complete and not self._is_expired:
                    body.skip()
            except Exception as error:
                log.debug("the rest of the body does not come: %s", error)
            if body.is_complete:
                self._doing = _AT_WORK
                return True
        self._linger()
        return False

    def _linger(self) -> None:
        """Let the client see the answer and hang up, while what it still sends is read away."""
        self._start_discarding()
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_WR)
            while not self._is_expired and self._client.recv(PIECE_BYTES):
                pass

    def _start_discarding(self) -> None:
        if self._doing != _DISCARDING:
            self._doing, self._since = _DISCARDING, time.monotonic()


def _status(code: int) -> str:
    return f"{code} {_REASONS[code]}"
