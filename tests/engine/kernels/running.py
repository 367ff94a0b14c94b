"""Runs one kernel beside its reference, in memory laid out as plans lay it out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pytest

from engine.primitives import dispatch
from engine.primitives.primitive import Array, Executable, Primitive, Spec
from engine.variable import aligned_empty

try:
    import engine.kernels.onednn  # noqa: F401
except OSError as error:
    pytest.skip(f"oneDNN cannot be loaded: {error}", allow_module_level=True)


def normal(*shape: int, seed: int = 0) -> Array:
    """Normally distributed float32."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


def prepare(
    primitive: Primitive,
    arrays: Sequence[Array],
    constant: Collection[int] = (),
    wanted: Sequence[bool] | None = None,
    **options: Any,
) -> Executable | None:
    """The kernel for these arrays, or None where it declines."""
    specs = [Spec(array.shape, array.dtype, index in constant) for index, array in enumerate(arrays)]
    outputs = primitive.infer(specs, options)
    asked = wanted or [True] * len(outputs)
    given = [spec if want else None for spec, want in zip(outputs, asked, strict=True)]
    return dispatch.prepare(primitive, specs, given, options)


def run(
    primitive: Primitive,
    arrays: Sequence[Array],
    constant: Collection[int] = (),
    wanted: Sequence[bool] | None = None,
    **options: Any,
) -> list[Array | None]:
    """What the kernel computes; fails where it declines. Unwanted outputs are None."""
    executable = prepare(primitive, arrays, constant, wanted, **options)
    assert executable is not None, "the kernel declined"
    specs = primitive.infer([Spec(array.shape, array.dtype) for array in arrays], options)
    asked = wanted or [True] * len(specs)
    # Filled with what no result may contain, so that entries that were never written show.
    outputs = [
        np.full(spec.shape, np.nan if spec.dtype.kind == "f" else 77, spec.dtype) if want else None
        for spec, want in zip(specs, asked, strict=True)
    ]
    inputs = [
        executable.packings[index](array) if index in executable.packings else array
        for index, array in enumerate(arrays)
    ]
    scratch = aligned_empty((executable.scratch_bytes,), np.dtype(np.uint8))
    bound = executable.bind(inputs, outputs, scratch)
    bound()
    bound()  # a second run must not build on the first one's results
    return outputs


def check(
    primitive: Primitive,
    arrays: Sequence[Array],
    constant: Collection[int] = (),
    wanted: Sequence[bool] | None = None,
    tolerance: float = 1e-5,
    **options: Any,
) -> None:
    """Asserts that the kernel equals the reference; the tolerance is relative to the largest expected value."""
    computed = run(primitive, arrays, constant, wanted, **options)
    expected = primitive.evaluate(arrays, options)
    assert len(computed) == len(expected)
    for ours, theirs in zip(computed, expected, strict=True):
        if ours is not None:
            scale = max(1.0, float(np.abs(theirs).max()))
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * scale)
