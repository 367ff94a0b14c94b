"""What every prepared kernel promises: its memory, its errors, its lifetime."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.primitives.convolution import convolution, convolution_kernel_gradient
from engine.variable import aligned_empty
from tests.engine.kernels.cases import CONVOLUTIONS
from tests.engine.kernels.running import normal, prepare

BYTES = np.dtype(np.uint8)


def _convolution(batch: int = 8) -> tuple[Any, list[Any], Any]:
    x, w, options = CONVOLUTIONS["digits, second layer"]
    arrays = [normal(batch, *x[1:]), normal(*w)]
    executable = prepare(convolution, arrays, **options)
    assert executable is not None
    return executable, arrays, convolution.evaluate(arrays, options)[0]


def test_arrays_that_are_not_row_major_are_refused_by_name_of_the_fault() -> None:
    executable, (x, w), expected = _convolution()
    scratch = aligned_empty((executable.scratch_bytes,), BYTES)
    with pytest.raises(ValueError, match="contiguous"):
        executable.bind([x.transpose(0, 2, 1, 3), w], [np.empty_like(expected)], scratch)


def test_too_little_scratch_memory_is_refused() -> None:
    executable, arrays, expected = _convolution()
    assert executable.scratch_bytes > 0
    with pytest.raises(ValueError, match="scratch"):
        executable.bind(arrays, [np.empty_like(expected)], None)
    with pytest.raises(ValueError, match="scratch"):
        executable.bind(arrays, [np.empty_like(expected)], np.empty(1, np.uint8))


def test_a_bound_kernel_reads_its_buffers_anew_at_every_run_and_keeps_them_alive() -> None:
    executable, (x, w), expected = _convolution()
    buffer, result = np.zeros_like(x), np.empty_like(expected)
    run = executable.bind([buffer, w.copy()], [result], aligned_empty((executable.scratch_bytes,), BYTES))
    del executable
    gc.collect()
    buffer[...] = x
    run()
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
    buffer *= 2
    run()
    np.testing.assert_allclose(result, 2 * expected, rtol=1e-4, atol=2e-4)


def test_one_executable_runs_in_several_threads_at_once() -> None:
    executable, arrays, expected = _convolution()
    results = [np.empty_like(expected) for _ in range(4)]

    def work(result: Any) -> None:
        run = executable.bind(arrays, [result], aligned_empty((executable.scratch_bytes,), BYTES))
        for _ in range(5):
            run()

    threads = [threading.Thread(target=work, args=(result,)) for result in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_preparing_and_binding_again_and_again_keeps_no_memory() -> None:
    x, w, options = CONVOLUTIONS["digits, second layer"]
    arrays = [normal(1, *x[1:]), normal(1, 11, 11, 64)]
    outputs = [np.empty(w, np.float32), np.empty(64, np.float32)]

    def cycle() -> None:
        executable = prepare(convolution_kernel_gradient, arrays, kernel_shape=w, **options)
        assert executable is not None
        executable.bind(arrays, outputs, aligned_empty((executable.scratch_bytes,), BYTES))()

    for _ in range(200):
        cycle()
    before = _resident_bytes()
    for _ in range(2000):
        cycle()
    # One memory object kept in each cycle would already be several hundred kilobytes, one scratch array 100 MB.
    assert _resident_bytes() - before < 1 << 20
