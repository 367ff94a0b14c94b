"""One file from an HTTP server into a folder: resumed where it was cut off, whole or not there at all.

What has arrived lies beside the file's place as `.<name>.part`, locked while someone writes it, with the server's mark
of the version (ETag or date) in `.<name>.part.mark`: the next attempt, or the next process, goes on from there if the
server still has that version.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
"""The longest pause between two pieces of a file."""
ATTEMPTS = 4
"""How often a transfer that is cut off is taken up again, as long as each attempt brings something."""
_CHUNK = 1 << 16


class DownloadError(ConnectionError):
    """A file could not be fetched; the message is the reason alone."""


def download(origin: str, target: Path, check: Callable[[Path], bool] | None = None, replace: bool = False) -> None:
    """Fetches a file.

    Args:
        origin: an http or https address.
        target: where it comes to lie; its folder exists. It appears there whole, in one step.
        check: whether the bytes at a path are those expected; what was resumed and is not, is fetched anew once.
        replace: whether to fetch it although there is one. Otherwise one that another process has put there while
            this one waited is taken.

    Raises:
        DownloadError: it cannot be reached, does not have it, or breaks off again and again.
        ValueError: its bytes are not those expected.
        OSError: the folder cannot be written to.
    """
    part = target.with_name(f".{target.name}.part")
    with _locked(part) as stream:
        if not replace and target.is_file() and (check is None or check(target)):
            stream.truncate(0)
            return
        mark = part.with_name(f"{part.name}.mark")
        resumed = _fetch_all(origin, stream, mark, trusted=check is not None)
        stream.flush()
        if check is not None and not check(part):
            stream.truncate(0)
            if resumed:
                _fetch_all(origin, stream, mark, trusted=True)
                stream.flush()
            if not resumed or not check(part):
                stream.truncate(0)
                mark.unlink(missing_ok=True)
                raise ValueError("its bytes are not those expected")
        os.fsync(stream.fileno())
        os.replace(part, target)
        mark.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """The partial file, open for reading and appending, while no other process has it."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        with part.open("ab+") as stream:
            yield stream
        return
    while True:
        with part.open("ab+") as stream:
            with contextlib.suppress(OSError):  # file systems without locks
                fcntl.flock(stream, fcntl.LOCK_EX)
            # Whoever had it may have moved it to its place: then the name is free, or another file's.
            if _is_open(part, stream):
                try:
                    yield stream
                finally:
                    if _is_open(part, stream) and stream.seek(0, os.SEEK_END) == 0:
                        part.unlink()
                return


def _is_open(part: Path, stream: IO[bytes]) -> bool:
    """Whether the file at a path is the open one."""
    return part.exists() and part.stat().st_ino == os.fstat(stream.fileno()).st_ino


def _fetch_all(origin: str, stream: IO[bytes], mark: Path, trusted: bool) -> bool:
    """Brings the partial file to its end; returns whether it began with bytes of an earlier attempt.

    Args:
        trusted: the result is checked by its digest, so that going on without a mark is safe.
    """
    import requests

    resumed = stream.seek(0, os.SEEK_END) > 0
    with requests.Session() as session, _progress(origin) as show:
        for attempt in range(1, ATTEMPTS + 1):
            begun = stream.seek(0, os.SEEK_END)
            try:
                _fetch(session, origin, stream, mark, trusted, show)
                break
            except requests.HTTPError as error:
                response = error.response
                assert response is not None, "raise_for_status hands it over"
                raise DownloadError(f"the server answers {response.status_code} {response.reason}") from None
            except requests.RequestException as error:
                if attempt == ATTEMPTS or stream.seek(0, os.SEEK_END) <= begun:
                    raise DownloadError(_reason(error)) from None
    return resumed


def _fetch(
    session: requests.Session,
    origin: str,
    stream: IO[bytes],
    mark: Path,
    trusted: bool,
    show: Callable[[int, int | None], None],
) -> None:
    """One transfer, of the rest where that is possible."""
    import requests

    done = stream.seek(0, os.SEEK_END)
    version = mark.read_text() if mark.is_file() else ""
    if done and not version and not trusted:
        done = stream.truncate(0)
    headers = {"Accept-Encoding": "identity"}  # so that lengths are those of the file
    if done:
        headers["Range"] = f"bytes={done}-"
        if version:
            headers["If-Range"] = version
    with session.get(origin, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)) as response:
        if done and response.status_code == requests.codes.requested_range_not_satisfiable:
            # Nothing is left to fetch, or the file has become another.
            if _total(response) == done and (trusted or version):
                return
            stream.truncate(0)
            mark.unlink(missing_ok=True)
            raise requests.ConnectionError("the file changed on the server")
        response.raise_for_status()
        if done and not (response.status_code == requests.codes.partial_content and _first(response) == done):
            done = stream.truncate(0)
        mark.write_text(_mark(response))
        total = _total(response) if response.status_code == requests.codes.partial_content else _length(response)
        response.raw.enforce_content_length = False  # it would withhold the last piece of what is cut off
        for chunk in response.iter_content(_CHUNK):
            stream.write(chunk)
            done += len(chunk)
            show(done, total)
        stream.flush()
        if total is not None and done < total:
            raise requests.ConnectionError(f"it ended after {done} of {total} bytes")


def _mark(response: requests.Response) -> str:
    """What tells this version of the file from others: a strong ETag, else the date."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and "Content-Encoding" not in response.headers else None


def _total(response: requests.Response) -> int | None:
    found = re.search(r"/(\d+)\s*$", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _first(response: requests.Response) -> int | None:
    found = re.match(r"\s*bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _reason(error: Exception) -> str:
    """What happened, in words: the innermost cause, without the addresses of objects around it."""
    import requests

    if isinstance(error, requests.Timeout):
        return "the server does not answer in time"
    cause: Any = error
    while True:
        inner = getattr(cause, "reason", None) or next(
            (item for item in cause.args if isinstance(item, Exception)), None
        )
        if not isinstance(inner, Exception) or inner is cause:
            break
        cause = inner
    text = getattr(cause, "strerror", None) or str(cause)
    return re.sub(r"^<[^>]*>:\s*|^\w+\([^)]*\):\s*", "", text) or type(cause).__name__


@contextlib.contextmanager
def _progress(origin: str) -> Iterator[Callable[[int, int | None], None]]:
    """Shows how far the transfer is, on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(origin.rsplit("/", 1)[-1], total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
