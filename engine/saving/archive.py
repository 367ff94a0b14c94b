"""The `.keras` archive: a zip with stored members, or a folder of the same names.

Nothing is extracted to disk, and a member that claims far more bytes than it brings is refused before it is read.
"""

from __future__ import annotations

import io
import itertools
import os
import secrets
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

CONFIG_LIMIT = 256 << 20
"""Bytes of JSON above which a configuration is refused."""
EXPANSION_LIMIT = 100
"""How many times its stored size a member may claim to be, above `EXPANSION_FREE` bytes."""
EXPANSION_FREE = 64 << 20
MEMBERS_LIMIT = 10_000
"""How many assets an archive may have."""


class Members:
    """Read access to an archive's members by name."""

    def __init__(self, path: Path, zipped: zipfile.ZipFile | None) -> None:
        self._path = path
        self._zip = zipped

    def names(self, prefix: str = "") -> list[str]:
        """The names of the members that begin so, those that stand for folders left out.

        Raises:
            ValueError: there are too many.
        """
        if self._zip is None:
            # Links are not followed: they may lead out of the folder, or in circles.
            found = (
                (Path(root) / file).relative_to(self._path).as_posix()
                for root, _, files in os.walk(self._path / prefix)
                for file in files
            )
        else:
            found = (name for name in self._zip.namelist() if name.startswith(prefix) and not name.endswith("/"))
        listed = list(itertools.islice(found, MEMBERS_LIMIT + 1))
        if len(listed) > MEMBERS_LIMIT:
            raise ValueError(f"{str(self._path)!r} has more than {MEMBERS_LIMIT} files under {prefix!r}.")
        return sorted(listed)

    def __contains__(self, name: str) -> bool:
        return (self._path / name).is_file() if self._zip is None else name in self._zip.NameToInfo

    def read(self, name: str) -> bytes:
        """A small member, whole."""
        with self.file(name) as stream:
            content = stream.read(CONFIG_LIMIT + 1)
        if len(content) > CONFIG_LIMIT:
            raise ValueError(f"{str(self._path)!r}: {name} is larger than {CONFIG_LIMIT} bytes.")
        return content

    def file(self, name: str) -> IO[bytes]:
        """A member as a seekable binary stream."""
        if self._zip is None:
            member = self._path / name
            if not Path(os.path.realpath(member)).is_relative_to(os.path.realpath(self._path)):
                raise ValueError(f"{str(self._path)!r}: {name} leads out of the folder; refused.")
            if not member.is_file():
                raise ValueError(f"{str(self._path)!r} has no {name}; it is not a model of Keras 3's format.")
            return member.open("rb")
        try:
            info = self._zip.getinfo(name)
        except KeyError:
            raise ValueError(f"{str(self._path)!r} has no {name}; it is not a model of Keras 3's format.") from None
        if info.flag_bits & 1:
            raise ValueError(f"{str(self._path)!r}: {name} is encrypted.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # The others cannot be unpacked in bounded steps.
            raise ValueError(f"{str(self._path)!r}: {name} is packed by method {info.compress_type}; expected 0 or 8.")
        stored = min(info.compress_size, self._path.stat().st_size)
        allowed = stored if info.compress_type == zipfile.ZIP_STORED else EXPANSION_LIMIT * stored
        if info.file_size > max(EXPANSION_FREE, allowed):
            raise ValueError(
                f"{str(self._path)!r}: {name} claims {info.file_size} bytes and brings {stored}; "
                "it looks like a zip bomb."
            )
        try:
            with self._zip.open(info) as stream:
                content = stream.read(info.file_size + 1)
        except Exception as error:  # zipfile's, zlib's and the system's errors have no base in common
            raise ValueError(f"{str(self._path)!r}: {name} is damaged: {error}") from None
        if len(content) != info.file_size:
            raise ValueError(f"{str(self._path)!r}: {name} claims {info.file_size} bytes and brings {len(content)}.")
        return io.BytesIO(content)


@contextmanager
def open_archive(path: Path) -> Iterator[Members]:
    """Opens an archive or folder for reading; raises ValueError where it is neither or damaged."""
    if path.is_dir():
        yield Members(path, None)
        return
    try:
        zipped = zipfile.ZipFile(path)
    except Exception as error:  # zipfile's, struct's and the system's errors have no base in common
        raise ValueError(
            f"{str(path)!r} is not a readable .keras archive (a zip file): {error}. It may be truncated."
        ) from None
    with zipped:
        yield Members(path, zipped)


def write(path: Path, members: Mapping[str, bytes]) -> None:
    """Writes an archive of stored members, in the given order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    replace(path, buffer.getbuffer())


def write_folder(path: Path, members: Mapping[str, bytes]) -> None:
    """Writes the members as files of a folder, made where it is absent; each file is replaced whole."""
    path.mkdir(parents=True, exist_ok=True)
    for name, content in members.items():
        replace(path / name, content)


def replace(path: Path, content: bytes | memoryview) -> None:
    """Puts a file in its place whole: readers see the old one or the new one, also when writing fails midway.

    A file that is replaced keeps its permissions, a new one gets those that the umask leaves; links are followed.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.{path.name}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if path.exists():
                os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
