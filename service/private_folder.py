"""The private folder of a running service: made locked, removed at the end, and by the next start where that failed."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PREFIX = "beagle-"
LOCK = "lock"


@dataclass(frozen=True)
class PrivateFolder:
    """A folder that this user alone may read.

    Attributes:
        path: where it is.
        lock_fd: descriptor of its locked file. The folder is in use until every process that holds it has ended, so
            who uses the folder inherits it.
    """

    path: Path
    lock_fd: int


@contextmanager
def private_folder() -> Iterator[PrivateFolder]:
    """Make a folder in the temporary folder, removed at the end.

    Folders of services that were killed are removed first: those of this user whose lock nobody holds.
    """
    for entry in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        _remove_abandoned(entry)
    path = Path(tempfile.mkdtemp(prefix=PREFIX))
    # Locked before it gets its name: a start at the same moment must not find it unlocked.
    unnamed = path / f".{LOCK}"
    lock_fd = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX)
        unnamed.rename(path / LOCK)
        yield PrivateFolder(path, lock_fd)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock_fd)


def _remove_abandoned(path: Path) -> None:
    try:
        status = path.lstat()
        # Nobody else can have put anything into a folder such as we make them.
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) != 0o700:
            return
        lock_fd = os.open(path / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:  # not a service's, or gone meanwhile
        return
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # in use
        return
    else:
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock_fd)
