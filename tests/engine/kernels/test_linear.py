"""The matrix product kernel against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives.linear import matmul
from tests.engine.kernels.running import check, normal, prepare

PRODUCTS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, bool]]] = {
    "dense layer": ((128, 1600), (1600, 10), {}),
    "its weights' gradient": ((128, 1600), (128, 10), {"transpose_a": True}),
    "its input's gradient": ((128, 10), (1600, 10), {"transpose_b": True}),
    "both transposed": ((165, 63), (47, 165), {"transpose_a": True, "transpose_b": True}),
    "one row": ((1, 512), (512, 512), {}),
    "rows of a batch against one matrix": ((4, 5, 64, 33), (33, 48), {}),
    "transposed batch against one matrix": ((4, 33, 64), (33, 48), {"transpose_a": True}),
    "batches": ((5, 64, 33), (5, 33, 48), {}),
    "batches, both transposed": ((5, 33, 64), (5, 48, 33), {"transpose_a": True, "transpose_b": True}),
    "broadcast batches": ((4, 1, 64, 33), (5, 33, 48), {}),
    "one matrix against a batch": ((64, 33), (5, 33, 48), {}),
}


@pytest.mark.parametrize(("a", "b", "options"), list(PRODUCTS.values()), ids=list(PRODUCTS))
def test_product_equals_the_reference_with_and_without_bias_and_packed(a: Any, b: Any, options: Any) -> None:
    columns = b[-2] if options.get("transpose_b") else b[-1]
    arrays = [normal(*a), normal(*b), normal(columns)]
    check(matmul, arrays, **options)
    check(matmul, arrays[:2], **options)
    check(matmul, arrays, constant=(1, 2), **options)


@pytest.mark.parametrize(
    ("a", "b"),
    [((4096,), (4096, 64)), ((64, 4096), (4096,)), ((48, 48), (48, 48)), ((0, 512), (512, 512))],
    ids=["vector first", "vector second", "too small to gain", "no rows"],
)
def test_declines_what_numpy_does_as_well(a: Any, b: Any) -> None:
    assert prepare(matmul, [normal(*a), normal(*b)]) is None


def test_declines_other_types() -> None:
    assert prepare(matmul, [np.ones((128, 128)), np.ones((128, 128))]) is None
    assert prepare(matmul, [np.ones((128, 128), np.int32), np.ones((128, 128), np.int32)]) is None
