"""Fused chains: every convolution geometry with every ending equals the links run one after another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives.activations import relu, sigmoid
from engine.primitives.convolution import convolution
from engine.primitives.elementwise import add, maximum, multiply, subtract, tanh
from engine.primitives.fusion import Link, fused
from engine.primitives.indexing import clip
from engine.primitives.linear import matmul
from engine.primitives.normalization import batch_normalization
from engine.primitives.primitive import Array, Primitive, Spec
from engine.variable import aligned_empty
from tests.engine.kernels.cases import CONVOLUTIONS
from tests.engine.kernels.running import check, normal, prepare, run

AVX512_CORE = 0x27  # dnnl_cpu_isa_t

UNARY: dict[str, tuple[Primitive, dict[str, Any]]] = {
    "relu": (relu, {}),
    "clip": (clip, {"minimum": 0.0, "maximum": 6.0}),
    "clip to both sides": (clip, {"minimum": -0.5, "maximum": 0.25}),
    "sigmoid": (sigmoid, {}),
    "tanh": (tanh, {}),
}


def link(primitive: Primitive, *operands: int | None, **options: Any) -> Link:
    return Link(primitive, operands, tuple(sorted(options.items())))


def convolution_case(name: str, bias: bool) -> tuple[list[Array], Link, tuple[int, ...]]:
    x, w, options = CONVOLUTIONS[name]
    arrays = [normal(*x), normal(*w, seed=1) * 0.2]
    if bias:
        arrays.append(normal(w[-1], seed=2))
    head = link(convolution, *range(len(arrays)), **options)
    result = convolution.infer([Spec(array.shape, array.dtype) for array in arrays], options)[0].shape
    return arrays, head, result


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_with_residual_and_relu_equals_its_links(name: str) -> None:
    arrays, head, result = convolution_case(name, bias=True)
    chain = (head, link(add, 3, None), link(relu, None))
    check(fused, [*arrays, normal(*result, seed=3)], constant={1, 2}, chain=chain)


@pytest.mark.parametrize("ending", UNARY)
@pytest.mark.parametrize("name", ["digits, second layer", "one by one", "depthwise", "groups"])
def test_a_convolution_with_an_activation_equals_its_links(name: str, ending: str) -> None:
    arrays, head, _ = convolution_case(name, bias=False)
    primitive, options = UNARY[ending]
    check(fused, arrays, chain=(head, link(primitive, None, **options)), tolerance=2e-5)


@pytest.mark.parametrize("primitive", [add, multiply, maximum])
def test_operands_by_channel_and_numbers_are_broadcast(primitive: Primitive) -> None:
    arrays, head, result = convolution_case("digits, second layer", bias=True)
    for operand in (normal(result[-1], seed=4), normal(1, 1, result[-1], seed=4), np.float32(0.7).reshape(())):
        check(fused, [*arrays, operand], chain=(head, link(primitive, None, 3)))


def test_two_residuals_are_both_added() -> None:
    arrays, head, result = convolution_case("one by one", bias=True)
    chain = (head, link(add, None, 3), link(tanh, None), link(add, 4, None))
    check(fused, [*arrays, normal(*result, seed=3), normal(*result, seed=5)], chain=chain, tolerance=2e-5)


@pytest.mark.parametrize(("a", "b", "options"), [
    ((64, 96), (96, 80), {}),
    ((3, 40, 96), (96, 80), {}),
    ((3, 40, 96), (3, 96, 80), {}),
    ((96, 64), (96, 80), {"transpose_a": True}),
    ((64, 96), (80, 96), {"transpose_b": True}),
])  # fmt: skip
def test_a_matrix_product_with_residual_and_relu_equals_its_links(a: Any, b: Any, options: dict[str, Any]) -> None:
    arrays = [normal(*a), normal(*b, seed=1) * 0.2, normal(80, seed=2)]
    result = matmul.infer([Spec(array.shape, array.dtype) for array in arrays], options)[0].shape
    chain = (link(matmul, 0, 1, 2, **options), link(add, None, 3), link(relu, None))
    check(fused, [*arrays, normal(*result, seed=3)], chain=chain)


def test_a_normalisation_with_relu_equals_its_links() -> None:
    parameters = [normal(24, seed=1), np.abs(normal(24, seed=2)) + 0.5, normal(24, seed=3), normal(24, seed=4)]
    chain = (link(batch_normalization, 0, 1, 2, 3, 4, epsilon=1e-3), link(relu, None))
    check(fused, [normal(4, 12, 12, 24), *parameters], chain=chain)


def test_what_oneDNN_has_no_post_operation_for_is_declined() -> None:  # noqa: N802
    arrays, head, result = convolution_case("one by one", bias=True)
    residual = normal(*result, seed=3)
    row = normal(result[2], result[3], seed=3)
    assert prepare(fused, [*arrays, residual], chain=(head, link(subtract, None, 3))) is None
    assert prepare(fused, [*arrays, row], chain=(head, link(multiply, None, 3))) is None
    assert prepare(fused, [*arrays, residual], chain=(link(add, 3, 3), link(relu, None))) is None


def test_a_residual_in_the_results_memory_is_not_copied_first() -> None:
    arrays, head, result = convolution_case("one by one", bias=True)
    residual = normal(*result, seed=3)
    chain = (head, link(add, 3, None), link(relu, None))
    executable = prepare(fused, [*arrays, residual], chain=chain)
    assert executable is not None
    assert list(executable.inplace) == [(0, 3)]
    (expected,) = fused.evaluate([*arrays, residual], {"chain": chain})
    scratch = aligned_empty((executable.scratch_bytes,), np.dtype(np.uint8))
    executable.bind([*arrays, residual], [residual], scratch)()
    np.testing.assert_allclose(residual, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("head_bias", "bias"), [(False, False), (False, True), (True, False)])
def test_a_depthwise_convolution_joins_only_where_both_have_a_bias(head_bias: bool, bias: bool) -> None:
    plain = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    depthwise = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 96}
    arrays = [normal(8, 56, 56, 16), normal(1, 1, 16, 96, seed=1)]
    arrays += [normal(96, seed=2)] if head_bias else []
    count = len(arrays)
    arrays += [normal(3, 3, 1, 96, seed=3), *([normal(96, seed=4)] if bias else [])]
    second = link(convolution, None, *range(count, len(arrays)), **depthwise)
    chain = (link(convolution, *range(count), **plain), second)
    assert prepare(fused, arrays, chain=chain) is None


def test_not_a_number_survives_a_fused_relu() -> None:
    arrays, head, _ = convolution_case("digits, second layer", bias=True)
    arrays[0][0, 5, 5, 3] = np.nan
    (result,) = run(fused, arrays, chain=(head, link(relu, None)))
    (expected,) = fused.evaluate(arrays, {"chain": (head, link(relu, None))})
    assert result is not None
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    assert np.isnan(result).any()


@pytest.mark.parametrize("size", [(56, 56), (57, 40)])
@pytest.mark.parametrize(("stride", "padding"), [(1, (1, 1)), (2, (1, 0)), (2, (0, 1)), (2, (1, 1))])
def test_a_depthwise_convolution_joins_a_pointwise_one(size: tuple[int, int], stride: int, padding: Any) -> None:
    pads = tuple((padding[0], padding[1] if stride == 1 or length % 2 == 0 else 1) for length in size)
    if padding[0] == 0:
        pads = tuple((0, 1) if length % 2 == 0 else (0, 2) for length in size)
    arrays = [normal(8, *size, 16), normal(1, 1, 16, 96, seed=1), normal(96, seed=2), normal(3, 3, 1, 96, seed=3)]
    plain = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    depthwise = {"strides": (stride, stride), "padding": pads, "dilation": (1, 1), "groups": 96}
    chain = (
        link(convolution, 0, 1, 2, **plain),
        link(clip, None, minimum=0.0, maximum=6.0),
        link(convolution, None, 3, 4, **depthwise),
        link(clip, None, minimum=0.0, maximum=6.0),
    )
    arrays.append(normal(96, seed=4))
    executable = prepare(fused, arrays, constant={1, 2, 3, 4}, chain=chain)
    from engine.kernels.onednn.handles import library  # here, where it is known to load

    if library.dnnl_get_effective_cpu_isa() & AVX512_CORE != AVX512_CORE:
        assert executable is None or executable.implementation.startswith("jit")
        return  # what joins elsewhere is the library's choice
    assert executable is not None
    assert executable.implementation.startswith("jit")
    check(fused, arrays, constant={1, 2, 3, 4}, chain=chain, tolerance=2e-5)
