"""Einstein sums against NumPy, their gradients against numerical differences, and their errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import engine
from engine import layers, ops
from engine.graph.capture import capture
from engine.primitives.primitive import Spec
from tests.engine.gradient_check import gradients, numerical_gradients
from tests.engine.keras_reference import keras

SHAPES = {
    "ij,jk->ik": ((2, 3), (3, 4)),
    "ij,jk": ((2, 3), (3, 4)),
    "ba": ((2, 3),),
    "ij->ji": ((2, 3),),
    "abc->b": ((2, 3, 4),),
    "ii->i": ((3, 3),),
    "iij,jk->ik": ((3, 3, 2), (2, 4)),
    "abab->ab": ((2, 3, 2, 3),),
    "i,i->": ((3,), (3,)),
    "i,j->ij": ((3,), (4,)),
    "ab,cd->bd": ((2, 3), (4, 5)),
    "abc,cde->abde": ((2, 3, 4), (4, 2, 3)),
    "abde,dec->abc": ((2, 3, 4, 2), (4, 2, 5)),
    "abc,bd->acd": ((2, 3, 4), (3, 5)),
    "aecd,abcd->acbe": ((2, 5, 3, 4), (2, 6, 3, 4)),
    "acbe,aecd->abcd": ((2, 3, 6, 5), (2, 5, 3, 4)),
    "...ab,bc->...ac": ((2, 1, 3, 4), (4, 5)),
    "...ij,...jk->...ik": ((2, 1, 3, 4), (5, 4, 2)),
    "a...,...b->...ab": ((3, 1, 2), (4, 2, 5)),
    "abc,bc->ab": ((2, 1, 4), (3, 4)),
    "ab,bc,cd->ad": ((2, 3), (3, 4), (4, 5)),
    "abc,c,cd->ad": ((2, 3, 4), (4,), (4, 5)),
}


def _operands(subscripts: str) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.normal(size=shape) for shape in SHAPES[subscripts]]


@pytest.mark.parametrize("subscripts", SHAPES)
def test_sums_equal_numpy(subscripts: str) -> None:
    operands = _operands(subscripts)
    received = ops.einsum(subscripts, *operands)
    np.testing.assert_allclose(received, np.einsum(subscripts, *operands), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "subscripts", ["iij,jk->ik", "aecd,abcd->acbe", "...ij,...jk->...ik", "abc,c,cd->ad", "ab,cd->bd"]
)
def test_gradients_equal_numerical_differences(subscripts: str) -> None:
    operands = _operands(subscripts)

    def call(*values: np.ndarray) -> object:
        return ops.einsum(subscripts, *values)

    for received, expected in zip(gradients(call, *operands), numerical_gradients(call, *operands), strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("subscripts", "shapes", "said"),
    [
        ("ij,jk->ik", ((2, 3), (4, 5)), "3 meets 4"),
        ("ij->ik", ((2, 3),), "each label of the result once"),
        ("ij->ii", ((2, 3),), "each label of the result once"),
        ("ij,jk->ik", ((2, 3),), "1 operands"),
        ("ijk->i", ((2, 3),), "cannot label 2 axes by 'ijk'"),
        ("i1->i", ((2, 3),), "expects letters"),
        ("ii->i", ((2, 3),), "equally long"),
    ],
)
def test_what_does_not_fit_is_said(subscripts: str, shapes: tuple[tuple[int, ...], ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ops.einsum(subscripts, *(np.zeros(shape) for shape in shapes))


def test_a_model_with_an_einsum_goes_both_ways(tmp_path: Path) -> None:
    x = [np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32) for _ in range(2)]
    for writer, reader in ((keras, engine), (engine, keras)):
        inputs = [writer.Input((3, 4)), writer.Input((3, 4))]
        result = writer.ops.einsum("abc,adc->abd", *inputs)
        model = writer.Model(inputs, result)
        assert result.shape == (None, 3, 3)
        model.save(tmp_path / "model.keras")
        again = reader.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(again.predict(x, verbose=0), np.einsum("abc,adc->abd", *x), rtol=1e-5, atol=1e-6)


def test_a_projection_is_one_product_with_its_bias() -> None:
    layer = layers.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes="de")
    layer.build((None, 3, 5))
    graph, _ = capture(layer, Spec((2, 3, 5), np.dtype(np.float32)))
    names = [node.primitive.name for node in graph.nodes]
    assert names.count("matmul") == 1
    assert not {"add", "transpose"} & set(names)
