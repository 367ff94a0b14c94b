"""Kernels in reduced precision against the reference, which computes in float64 and rounds once."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from engine.kernels.onednn import instructions, precision
from engine.primitives.activations import relu
from engine.primitives.casting import cast
from engine.primitives.convolution import convolution
from engine.primitives.elementwise import add
from engine.primitives.fusion import Chain, Link
from engine.primitives.indexing import clip
from engine.primitives.linear import matmul
from engine.primitives.precision import dequantize, quantize, quantized_weights, reduced
from engine.primitives.primitive import Array, Spec
from tests.engine.kernels.cases import CONVOLUTIONS
from tests.engine.kernels.running import normal, prepare, run

FLOAT32 = np.dtype(np.float32)

needs_int8 = pytest.mark.skipif(not instructions.has_int8(), reason="the CPU has no VNNI: int8 kernels decline")


def has_avx512() -> bool:
    """Whether oneDNN uses AVX-512."""
    return instructions.InstructionSet.AVX512 in instructions.effective()


def integers(*shape: int, dtype: str, seed: int = 0) -> Array:
    """Uniform over all numbers of a type, but for -128."""
    bounds = np.iinfo(dtype)
    generator = np.random.default_rng([seed, *shape])
    return generator.integers(max(bounds.min, -127), bounds.max, shape, dtype, endpoint=True)


def options_of(case: Any) -> tuple[Any, ...]:
    return tuple(sorted(case[2].items()))


def quantised(head: Link, x: Array, w: Array, dtype: str, residual: str | None = None) -> tuple[list[Array], Any]:
    """Arrays and options of a quantised chain: head, bias, perhaps a residual, relu; the result uses its range well."""
    weights, steps = quantized_weights(w)
    arrays = [x, weights, normal(w.shape[-1], seed=1)]
    links = [Link(head.primitive, (0, 1, 2), head.options)]
    scales: list[float | None] = [0.02, None, None]
    shape = head.primitive.infer([Spec(a.shape, FLOAT32) for a in arrays], dict(head.options))[0].shape
    if residual is not None:
        arrays.append(integers(*shape, dtype=residual))
        links.append(Link(add, (None, 3)))
        scales.append(0.03)
    if dtype == "uint8":
        links.append(Link(relu, (None,)))
    arrays.append(steps)
    options: Any = {"chain": tuple(links), "scales": tuple(scales), "scale": None, "dtype": "float32"}
    if dtype != "float32":
        (wide,) = reduced.evaluate(arrays, options)
        # An odd scale, so that hardly any result lies halfway between two integers.
        options |= {"scale": float(np.abs(wide).max()) / 251.3 * (1 if dtype == "uint8" else 2), "dtype": dtype}
    return arrays, options


def check(arrays: list[Array], options: Any, constant: tuple[int, ...]) -> None:
    (ours,) = run(reduced, arrays, constant=constant, **options)
    (theirs,) = reduced.evaluate(arrays, options)
    assert ours is not None
    assert ours.dtype == theirs.dtype
    if theirs.dtype.kind == "f":
        np.testing.assert_allclose(ours, theirs, atol=2e-5 * float(np.abs(theirs).max()))
    else:
        apart = np.abs(ours.astype(int) - theirs.astype(int))
        assert apart.max() <= 1  # float32 and float64 may round a number halfway differently
        assert np.mean(apart > 0) < 1e-3


@needs_int8
@pytest.mark.parametrize("source", ["uint8", "int8"])
@pytest.mark.parametrize("result", ["uint8", "int8", "float32"])
@pytest.mark.parametrize("case", list(CONVOLUTIONS.values()), ids=list(CONVOLUTIONS))
def test_quantised_convolution_equals_the_reference(case: Any, source: str, result: str) -> None:
    x, w, _ = case
    head = Link(convolution, (0, 1), options_of(case))
    arrays, options = quantised(head, integers(*x, dtype=source), normal(*w), result)
    check(arrays, options, constant=(1, 2, 3))


@needs_int8
@pytest.mark.parametrize("source", ["uint8", "int8"])
@pytest.mark.parametrize("result", ["uint8", "int8", "float32"])
@pytest.mark.parametrize("shape", [(64, 128, 96), (7, 1000, 77), (300, 33, 40)])
def test_quantised_matrix_product_equals_the_reference(shape: tuple[int, int, int], source: str, result: str) -> None:
    rows, inner, columns = shape
    arrays, options = quantised(
        Link(matmul, (0, 1)), integers(rows, inner, dtype=source), normal(inner, columns), result
    )
    check(arrays, options, constant=(1, 2, 3))


@needs_int8
@pytest.mark.parametrize("residual", ["uint8", "int8"])
@pytest.mark.parametrize("result", ["uint8", "int8"])
@pytest.mark.parametrize("name", ["batch of one", "one by one", "groups of many channels", "depthwise"])
def test_a_quantised_residual_is_added_with_its_own_scale(name: str, result: str, residual: str) -> None:
    x, w, _ = case = CONVOLUTIONS[name]
    head = Link(convolution, (0, 1), options_of(case))
    arrays, options = quantised(head, integers(*x, dtype="uint8"), normal(*w), result, residual)
    executable = prepare(reduced, arrays, constant=(1, 2, 4), **options)
    assert executable is not None
    assert list(executable.inplace) == [(0, 3)]
    check(arrays, options, constant=(1, 2, 4))


@needs_int8
def test_a_quantised_clip_is_applied_before_rounding() -> None:
    x, w, _ = case = CONVOLUTIONS["one by one"]
    head = Link(convolution, (0, 1), options_of(case))
    arrays, options = quantised(head, integers(*x, dtype="uint8"), normal(*w), "int8")
    bounded: Chain = (*options["chain"], Link(clip, (None,), (("maximum", 6.0), ("minimum", 0.0))))
    check(arrays, {**options, "chain": bounded, "scale": 6 / 255, "dtype": "uint8"}, constant=(1, 2, 3))


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_numbers_are_rounded_half_to_even_and_saturated(dtype: str) -> None:
    x = np.tile(np.float32([-1000, -1.5, -0.5, 0, 0.5, 1.5, 2.5, 126.5, 254.5, 1000]), 2000) * np.float32(0.25)
    (ours,) = run(quantize, [x], scale=0.25, dtype=dtype)
    low, high = (0, 255) if dtype == "uint8" else (-128, 127)
    expected = np.clip([-1000, -2, 0, 0, 0, 2, 2, 126, 254, 1000], low, high)
    np.testing.assert_array_equal(ours, np.tile(expected, 2000))
    np.testing.assert_array_equal(quantize.reference(x, scale=0.25, dtype=dtype), ours)
    (back,) = run(dequantize, [ours], scale=0.25)
    np.testing.assert_array_equal(back, np.tile(expected, 2000) * np.float32(0.25))


def test_casts_between_float32_and_bfloat16_equal_the_reference() -> None:
    x = normal(40, 1000)
    (half,) = run(cast, [x], dtype="bfloat16")
    np.testing.assert_array_equal(half, x.astype(ml_dtypes.bfloat16))
    (whole,) = run(cast, [half], dtype="float32")
    np.testing.assert_array_equal(whole, half.astype(np.float32))


@pytest.mark.skipif(not has_avx512(), reason="oneDNN computes bfloat16 on AVX-512 alone")
@pytest.mark.parametrize("result", ["bfloat16", "float32"])
@pytest.mark.parametrize("name", ["digits, second layer", "odd channels, uneven strides and padding", "depthwise"])
def test_bfloat16_convolution_equals_the_reference_within_its_precision(
    name: str, result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the instructions oneDNN emulates them: slowly, but the same.
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    x, w, _ = case = CONVOLUTIONS[name]
    arrays = [normal(*x).astype(ml_dtypes.bfloat16), normal(*w).astype(ml_dtypes.bfloat16), normal(w[-1])]
    links = (Link(convolution, (0, 1, 2), options_of(case)), Link(relu, (None,)))
    options: Any = {"chain": links, "scales": (None,) * 3, "scale": None, "dtype": result}
    (ours,) = run(reduced, arrays, constant=(1, 2), **options)
    (theirs,) = reduced.evaluate(arrays, options)
    assert ours is not None
    tolerance = 2**-8 if result == "bfloat16" else 1e-5
    largest = float(np.abs(theirs.astype(np.float32)).max())
    np.testing.assert_allclose(
        ours.astype(np.float32), theirs.astype(np.float32), rtol=tolerance, atol=tolerance * largest
    )


def test_chains_are_declined_where_the_cpu_has_no_instructions_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w, _ = case = CONVOLUTIONS["one by one"]
    head = Link(convolution, (0, 1), options_of(case))
    arrays, options = quantised(head, integers(*x, dtype="uint8"), normal(*w), "int8")
    monkeypatch.setattr(instructions, "effective", lambda: instructions.InstructionSet.AVX512)
    assert prepare(reduced, arrays, constant=(1, 2, 3), **options) is None
    halves = [array.astype(ml_dtypes.bfloat16) for array in (normal(*x), normal(*w))]
    plain: Any = {"chain": (head,), "scales": (None, None), "scale": None, "dtype": "bfloat16"}
    assert prepare(reduced, halves, constant=(1,), **plain) is None
