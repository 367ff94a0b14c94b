"""Finding, refusing and doing without the library."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.kernels.onednn.constants import Runtime
from engine.kernels.onednn.library import (
    OneDnnError,
    UnimplementedError,
    Version,
    failure,
    load,
    refuse_unusable,
)
from tests.engine.kernels import running

ROOT = Path(__file__).resolve().parents[3]

CONVOLVE = """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
import numpy as np
from engine.primitives.convolution import convolution
from engine.primitives.dispatch import device
options = dict(strides=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1)
for _ in range(3):
    y = convolution(np.ones((1, 4, 4, 1), np.float32), np.ones((3, 3, 1, 2), np.float32), **options)
print(device(), float(y.numpy().sum()))
"""


def _run(program: str, **settings: str) -> list[str]:
    environment = {**os.environ, **settings}
    outcome = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout.splitlines()


def test_the_kernels_are_used_where_the_library_loads() -> None:
    assert running.normal(1).size == 1
    assert _run(CONVOLVE) == ["onednn 72.0"]


def test_a_missing_library_means_the_reference_and_one_log_line_with_the_reason() -> None:
    lines = _run(CONVOLVE, BEAGLE_ONEDNN_LIBRARY="/nowhere/libdnnl.so.3")
    assert len(lines) == 2
    assert lines[0].startswith("WARNING onednn is not available, NumPy computes instead: /nowhere/libdnnl.so.3")
    assert lines[1] == "numpy 72.0"


def test_a_library_that_is_not_onednn_is_refused_with_the_reason() -> None:
    lines = _run(CONVOLVE, BEAGLE_ONEDNN_LIBRARY=ctypes.util.find_library("m") or "libm.so.6")
    assert "no oneDNN library" in lines[0]
    assert lines[-1] == "numpy 72.0"


def test_a_named_library_is_the_one_that_is_loaded(tmp_path: Path) -> None:
    original = Path(load()._name)
    named = tmp_path / "mine.so"
    named.symlink_to(original if original.is_absolute() else Path(sys.prefix, "lib", original))
    program = "from engine.kernels.onednn.library import load; print(load()._name)"
    assert _run(program, BEAGLE_ONEDNN_LIBRARY=str(named)) == [str(named)]


@pytest.mark.parametrize(
    ("major", "runtime", "reason"),
    [(2, Runtime.OPENMP, "3.x is needed, this is 2.9.1"), (3, Runtime.SYCL, "this one is for SYCL")],
)
def test_other_versions_and_runtimes_are_refused(major: int, runtime: Runtime, reason: str) -> None:
    with pytest.raises(OSError, match=reason):
        refuse_unusable(Version(major=major, minor=9, patch=1, cpu_runtime=runtime))


def test_a_failed_call_names_the_function_and_the_status() -> None:
    with pytest.raises(OneDnnError, match=r"dnnl_memory_desc_create_with_tag failed: invalid arguments \(status 2\)"):
        load().dnnl_memory_desc_create_with_tag(ctypes.byref(ctypes.c_void_p()), -1, None, 3, 1)
    assert isinstance(failure("f", 3), UnimplementedError)
    assert "unknown (status 99)" in str(failure("f", 99))
