"""Memory that uploads take and leave."""

from __future__ import annotations

import platform
import subprocess

import pytest

from tests.service.processes import ROOT, python


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_blocks_of_the_size_of_a_photo_are_taken_from_the_system_once() -> None:
    code = """
        import resource
        from service.web.memory import keep_freed_memory
        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(100):
                b"".join([bytes(1_000_000), bytes(1_000_000)])
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        keep_freed_memory()
        faults()
        print(faults())
    """
    lines = "\n".join(line.removeprefix(" " * 8) for line in code.splitlines())
    result = subprocess.run(python("-c", lines), cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert int(result.stdout) < 1000  # of 90,000 pages otherwise
