"""Downloads: a file fetched once, checked and kept (`keras.utils.get_file`)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from engine.utils.progress import Progbar

if TYPE_CHECKING:
    from collections.abc import Iterable

_CHUNK = 1 << 16
_TIMEOUT_S = 30.0


def cache_folder(name: str = "") -> Path:
    """Where downloads are kept: `$BEAGLE_HOME`, else `~/.cache/beagle`; with a subfolder `name`."""
    home = os.environ.get("BEAGLE_HOME")
    return (Path(home) if home else Path.home() / ".cache" / "beagle") / name


def file_hash(chunks: Iterable[bytes]) -> str:
    """SHA-256 of some bytes, in hexadecimal."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def get_file(
    fname: str, origin: str, file_hash: str | None = None, cache_dir: str | os.PathLike[str] | None = None
) -> str:
    """The path of a file, downloaded on first use.

    Args:
        fname: its name in the cache.
        origin: an http or https address.
        file_hash: SHA-256 of its bytes in hexadecimal; None: not checked.
        cache_dir: default: `cache_folder("datasets")`.

    Raises:
        ConnectionError: it cannot be fetched; names the address and where to put the file by hand.
        ValueError: its bytes are not those expected.
    """
    folder = Path(cache_dir) if cache_dir is not None else cache_folder("datasets")
    target = folder / fname
    if target.is_file():
        _check(target, file_hash, origin)
        return str(target)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{fname}.", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _fetch(origin, stream, target)
        _check(Path(temporary), file_hash, origin)
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return str(target)


def _fetch(origin: str, stream: BinaryIO, target: Path) -> None:
    import requests

    try:
        with requests.get(origin, stream=True, timeout=_TIMEOUT_S) as response:
            response.raise_for_status()
            total = int(response.headers.get("Content-Length", 0))
            bar = Progbar(total or None, unit_name="byte")
            done = 0
            for chunk in response.iter_content(_CHUNK):
                stream.write(chunk)
                done += len(chunk)
                bar.update(done)
            if total and done < total and "Content-Encoding" not in response.headers:
                raise requests.ConnectionError(f"it ended after {done} of {total} bytes")
    except requests.RequestException as error:
        raise ConnectionError(
            f"Cannot download {origin}: {error}. Where this machine has no network, put the file at {target}."
        ) from None


def _check(path: Path, expected: str | None, origin: str) -> None:
    if expected is None:
        return
    with path.open("rb") as stream:
        found = file_hash(iter(lambda: stream.read(_CHUNK), b""))
    if found != expected:
        raise ValueError(
            f"{path} is damaged or not what {origin} should hold: expected SHA-256 {expected}, got {found}"
        )
