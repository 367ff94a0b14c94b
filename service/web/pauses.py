"""Bodies that stop arriving: a client that sends nothing more loses its place."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from werkzeug.exceptions import ClientDisconnected

from service.errors import ServiceError


@contextlib.contextmanager
def bounded_pauses(connection: socket.socket | None, longest_s: float) -> Iterator[None]:
    """Inside, reads from `connection` wait at most `longest_s` seconds for the next bytes.

    Raises:
        ServiceError: upload_stalled, in place of what the reading code made of it.
    """
    if connection is None:
        yield
        return
    before = connection.gettimeout()
    connection.settimeout(longest_s)
    try:
        yield
    except (TimeoutError, ClientDisconnected) as error:
        # Werkzeug takes a timeout for a client that hung up.
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            message = f"nothing more of the request's body came for {longest_s:g} s"
            raise ServiceError("upload_stalled", message) from None
        raise
    finally:
        with contextlib.suppress(OSError):
            connection.settimeout(before)
