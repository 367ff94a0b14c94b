"""Which implementation oneDNN chooses, pinned by instruction set: a fast path must not become a slow one unseen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.engine.kernels import running

ROOT = Path(__file__).resolve().parents[3]

# What the pinned wheel's release chooses; other releases name some implementations differently.
PINNED_RELEASE = [3, 2]
PINNED = {
    "AVX512_CORE": {
        "convolution: digits, first layer": "jit:avx512_core",
        "convolution: digits, second layer": "brgconv:avx512_core",
        "convolution: one by one": "brgconv_1x1:avx512_core",
        "convolution: depthwise": "brdgmm_dw:avx512_core",
        "convolution: groups": "jit:avx512_core",
        "convolution: three dimensions": "brgconv:avx512_core",
        "input gradient: digits, second layer": "brg_fwd:avx512_core+brgconv:avx512_core",
        "input gradient: odd channels, uneven strides and padding": "jit:avx512_core",
        "input gradient: depthwise": "jit_dw:avx512_core",
        "kernel gradient: digits, first layer": "jit:avx512_core",
        "kernel gradient: digits, second layer": "jit:avx512_core",
        "kernel gradient: depthwise": "jit_dw:avx512_core",
        "maximum: halving": "jit:avx512_core",
        "maximum gradient: halving": "jit:avx512_core",
        "average: overlapping and padded": "jit:avx512_core",
        "transposed: digits, second layer": "brg_conv:avx512_core+brgconv:avx512_core",
        "transposed: depthwise": "conv:any+jit_dw:avx512_core",
        "transposed: three dimensions": "conv:any+jit:avx512_core",
        "silu": "jit:avx512_core",
        "silu_gradient": "jit:avx512_core",
        "softmax": "jit:avx512_core",
        "softmax_gradient": "jit:avx512_core",
        "log_softmax_gradient": "jit:avx512_core",
        "reduce_sum": "jit:avx512_core",
        "mean over space": "jit:avx512_core",
        "add": "jit:uni",
        "product of channels": "jit:uni",
        "concatenate": "simple:any",
        "layer normalisation": "jit:uni",
        "layer normalisation gradient": "jit:uni",
        "resampling": "jit:avx512_core",
        "resampling gradient": "jit:avx512_core",
        "recurrent: lstm": "brgemm:avx512_core",
        "recurrent: simple": "brgemm:avx512_core",
        "recurrent: gru": "gemm:ref",
        "recurrent training: lstm": "gemm:ref",
        "recurrent gradient: lstm": "gemm:ref",
        "product: dense": "brg:avx512_core",
        "product: batched": "brg:avx512_core",
    },
    "AVX2": {
        "convolution: digits, first layer": "jit:avx2",
        "convolution: digits, second layer": "brgconv:avx2",
        "convolution: one by one": "brgconv_1x1:avx2",
        "convolution: depthwise": "brdgmm_dw:avx2",
        "convolution: groups": "x64:gemm:jit",
        "convolution: three dimensions": "brgconv:avx2",
        "input gradient: digits, second layer": "brg_fwd:avx2+brgconv:avx2",
        "input gradient: odd channels, uneven strides and padding": "x64:gemm:jit",
        "input gradient: depthwise": "jit_dw:avx2",
        "kernel gradient: digits, first layer": "jit:avx2",
        "kernel gradient: digits, second layer": "jit:avx2",
        "kernel gradient: depthwise": "jit_dw:avx2",
        "maximum: halving": "jit:avx2",
        "maximum gradient: halving": "jit:avx2",
        "average: overlapping and padded": "jit:avx2",
        "transposed: digits, second layer": "brg_conv:avx2+brgconv:avx2",
        "transposed: depthwise": "conv:any+jit_dw:avx2",
        "transposed: three dimensions": "conv:any+x64:gemm:jit",
        "silu": "jit:avx2",
        "silu_gradient": "jit:avx2",
        "softmax": "jit:avx2",
        "reduce_sum": "jit:avx2",
        "mean over space": "jit:avx2",
        "add": "jit:uni",
        "product of channels": "jit:uni",
        "concatenate": "simple:any",
        "layer normalisation": "jit:uni",
        "layer normalisation gradient": "jit:uni",
        "resampling": "jit:avx2",
        "resampling gradient": "simple:any",
        "recurrent: lstm": "brgemm:avx2",
        "recurrent: simple": "brgemm:avx2",
        "recurrent: gru": "gemm:ref",
        "recurrent training: lstm": "gemm:ref",
        "recurrent gradient: lstm": "gemm:ref",
        "product: dense": "gemm:jit:f32",
        "product: batched": "gemm:jit:f32",
    },
}
# Where oneDNN has its slow implementation alone, the kernel declines.
DECLINED = {"AVX512_CORE": set(), "AVX2": {"softmax_gradient", "log_softmax_gradient"}}
EFFECTIVE = {"AVX512_CORE": 0x27, "AVX2": 0x07}  # dnnl_cpu_isa_t


def _limited(isa: str, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


@cache
def _survey(isa: str) -> Any:
    outcome = _limited(isa, "-m", "tests.engine.kernels.survey")
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(outcome.stdout)


@pytest.mark.parametrize("isa", list(PINNED))
def test_every_case_has_an_implementation_that_is_no_reference(isa: str) -> None:
    chosen = _survey(isa)["chosen"]
    # A limit is no more than the processor has.
    assert {case for case, name in chosen.items() if name is None} <= DECLINED["AVX2"] | DECLINED[isa]
    for case, name in chosen.items():
        assert name is None or not name.startswith("ref"), f"{case}: {name}"


@pytest.mark.parametrize("isa", list(PINNED))
def test_the_chosen_implementations_are_the_pinned_ones(isa: str) -> None:
    survey = _survey(isa)
    if survey["release"] != PINNED_RELEASE:
        pytest.skip(f"oneDNN {survey['release']} is installed; the table is for {PINNED_RELEASE}")
    if survey["isa"] != EFFECTIVE[isa]:
        pytest.skip(f"this processor has no {isa}")
    assert {case: survey["chosen"][case] for case in PINNED[isa]} == PINNED[isa]


def test_kernels_equal_the_reference_on_avx2_too() -> None:
    assert running.normal(1).dtype == "float32"  # the library loads here, so the other process must not skip
    names = (
        *("convolution", "transposed", "pooling", "linear", "normalization", "layer_normalization"),
        *("elementwise", "binary", "reduction", "softmax", "resampling", "recurrent"),
    )
    files = [f"tests/engine/kernels/test_{name}.py" for name in names]
    outcome = _limited("AVX2", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files)
    assert outcome.returncode == 0, outcome.stdout[-4000:]
    assert " skipped" not in outcome.stdout
