"""The private folder of a service: removed at its end, or by the next start once nobody uses it."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from service.private_folder import private_folder
from tests.service.processes import eventually, python, running

HOLDS = """
import subprocess, sys, time
from service.private_folder import private_folder
with private_folder() as folder:
    user = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], pass_fds=[folder.lock_fd])
    print(user.pid, folder.path, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_for_this_user_alone_and_gone_at_the_end() -> None:
    with private_folder() as folder:
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        (folder.path / "queue.sock").touch()
    assert not folder.path.exists()


def test_two_at_the_same_time_leave_each_other_alone() -> None:
    with private_folder() as one:
        with private_folder() as other:
            assert one.path.exists()
            assert other.path != one.path
        assert one.path.exists()


def test_what_a_killed_service_left_is_removed_once_its_processes_have_ended_too(
    temporary: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    logs = tmp_path_factory.mktemp("logs")
    with running(python("-c", HOLDS), logs, {"TMPDIR": str(temporary)}) as service:
        user, path = eventually(lambda: service.out.split(), "the service has its folder")
        try:
            service.process.kill()
            service.process.wait()
            with private_folder():
                assert Path(path).exists(), "a process of the service still uses it"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(user), signal.SIGKILL)

        def next_start_removes_it() -> bool:
            with private_folder():
                return not Path(path).exists()

        eventually(next_start_removes_it, "the folder is removed")


@pytest.mark.parametrize("kind", ["without a lock", "open to others", "a link"])
def test_what_is_not_certainly_left_by_a_service_stays(temporary: Path, kind: str) -> None:
    theirs = temporary / "beagle-theirs"
    target = temporary / "target"
    target.mkdir(mode=0o700)
    (target / "lock").touch()
    if kind == "a link":
        theirs.symlink_to(target)
    else:
        theirs.mkdir(mode=0o755 if kind == "open to others" else 0o700)
        if kind == "open to others":
            (theirs / "lock").touch()
    with private_folder():
        assert theirs.is_dir()
    assert (target / "lock").exists()


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root makes files of others")
def test_a_folder_of_another_user_stays(temporary: Path) -> None:
    theirs = temporary / "beagle-theirs"
    theirs.mkdir(mode=0o700)
    (theirs / "lock").touch()
    os.chown(theirs, 12345, -1)
    with private_folder():
        assert theirs.exists()
