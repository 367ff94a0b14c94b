"""The same tests in a process whose threads are gevent's greenlets."""

import subprocess
import sys
from pathlib import Path

from tests.service.processes import ROOT

RUN = """
import sys
from gevent import monkey
monkey.patch_all()
import pytest
from service.broker import waking
assert type(waking.kind()).__name__ == "Greenlets"
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def test_pipelines_and_submissions_work_with_greenlets_as_with_threads() -> None:
    here = Path(__file__).parent
    # Those with processes of their own choose themselves what these patch.
    files = [str(here / name) for name in ("test_pipeline.py", "test_submissions.py")]
    ended = subprocess.run(
        [sys.executable, "-c", RUN, *files, "-k", "not two_processes"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
