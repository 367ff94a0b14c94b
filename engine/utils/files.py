"""Files from the network: fetched once, checked and kept (`keras.utils.get_file`)."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from engine.utils.download import DownloadError, download

logger = logging.getLogger("engine")

_CHUNK = 1 << 20
_ALGORITHMS = ("auto", "sha256", "md5")


def cache_folder(name: str = "") -> Path:
    """Where downloads are kept: `$BEAGLE_HOME`, else `~/.beagle`; with a subfolder `name`."""
    home = os.environ.get("BEAGLE_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".beagle") / name


def digest_of(chunks: Iterable[bytes], algorithm: str = "sha256") -> str:
    """The digest of some bytes by SHA-256 or MD5, in hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=algorithm != "md5")
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | list[str] | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """The path of a file, downloaded on first use.

    A download that was cut off is taken up where it ended; two processes that want the same file fetch it once.

    Args:
        fname: its name in the cache; default: the last part of the address.
        origin: an http or https address.
        untar: an older name of `extract`.
        md5_hash: an older way to give an MD5.
        file_hash: the SHA-256 or MD5 of its bytes in hexadecimal; None: not checked.
        cache_subdir: the folder in the cache; an absolute path replaces it.
        hash_algorithm: "sha256", "md5", or "auto": by the length of `file_hash`.
        extract: unpack the file, a tar or zip archive, into a folder of its own, whose path is returned.
        archive_format: "tar", "zip", a list of them, or "auto" for both.
        cache_dir: default: `cache_folder()`.
        force_download: fetch it although it is in the cache.

    Raises:
        ConnectionError: it cannot be fetched; names the address and where to put the file by hand.
        ValueError: its bytes are not those expected, or an argument is wrong.
    """
    if origin is None:
        raise ValueError("get_file needs an `origin`: the address of the file.")
    name = str(fname) if fname else os.path.basename(urlsplit(origin).path)
    if not name or name in (".", "..") or "/" in name or os.sep in name:
        raise ValueError(f"`fname` must be the name of a file; its folder is `cache_subdir`. Received: {fname!r}")
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    if hash_algorithm not in _ALGORITHMS:
        raise ValueError(f"`hash_algorithm` must be one of {', '.join(_ALGORITHMS)}. Received: {hash_algorithm!r}")
    folder = (cache_folder() if cache_dir is None else Path(cache_dir).expanduser()) / cache_subdir
    if not (extract or untar):
        return str(_fetched(folder / name, origin, file_hash, hash_algorithm, force_download))
    from engine.utils.extraction import extracted

    archive = _fetched(_archive_path(folder, name, bool(fname)), origin, file_hash, hash_algorithm, force_download)
    into = folder / (f"{name[: name.find('.')]}_extracted" if fname and "." in name else name)
    return str(extracted(archive, into, "auto" if untar and not extract else archive_format, anew=force_download))


def _archive_path(folder: Path, name: str, named: bool) -> Path:
    """Where the archive itself lies: Keras's names."""
    return folder / (name if named and "." in name else f"{name}_archive")


def _fetched(target: Path, origin: str, expected: str | None, algorithm: str, anew: bool) -> Path:
    if algorithm == "auto":
        algorithm = "sha256" if expected is None or len(expected) == 64 else "md5"
    fits = None if expected is None else lambda path: _digest(path, algorithm) == expected.lower()
    if target.is_file() and not anew:
        if fits is None or fits(target):
            return target
        logger.warning("%s is not what %s should hold: it is fetched anew.", target, origin)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        download(origin, target, fits, replace=anew)
    except DownloadError as error:
        raise ConnectionError(
            f"Cannot download {origin}: {error}. Where this machine has no network, put the file at {target}."
        ) from None
    except ValueError:
        raise ValueError(
            f"{origin} does not hold the file expected: its {algorithm.upper()} is not {expected}."
        ) from None
    except OSError as error:
        raise type(error)(
            error.errno, f"Cannot keep {origin} ({error.strerror}; BEAGLE_HOME names another folder)", str(target)
        ) from None
    return target


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return digest_of(iter(lambda: stream.read(_CHUNK), b""), algorithm)


__all__ = ["cache_folder", "digest_of", "get_file"]
