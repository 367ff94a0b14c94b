"""Inverse functions, bits, sorted look-ups and scattered updates give in ONNX Runtime what they give here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import engine as keras
from engine import ops
from engine.primitives import bits, inverses
from engine.primitives.indexing import searchsorted
from engine.primitives.scattering import REDUCTIONS, put_along_axis
from tests.engine.onnx.writing.runtime import assert_same, written

_STEPS = np.array([-0.5, 0.0, 0.3], np.float32)


class Floats(keras.Model):
    def call(self, a: Any) -> Any:
        places = ops.argsort(a, axis=1)[:, :2]
        return [
            inverses.arcsin(a), inverses.arccos(a), inverses.arctan(a), inverses.arcsinh(a), inverses.arccosh(a + 2.0),
            inverses.arctanh(a), *(searchsorted(_STEPS, a, side=side) for side in ("left", "right")),
            *(put_along_axis(a, places, a[:, :2] * 2.0, axis=1, reduction=item) for item in REDUCTIONS),
        ]  # fmt: skip


class Integers(keras.Model):
    def call(self, a: Any) -> Any:
        found = [function(a, 6) for function in (bits.bitwise_and, bits.bitwise_or, bits.bitwise_xor)]
        return [*found, bits.bitwise_not(a), bits.left_shift(a, 2), bits.right_shift(a, 2)]


def test_functions_of_floats_give_the_same() -> None:
    model, x = Floats(), np.random.default_rng(0).uniform(-0.9, 0.9, (3, 5)).astype(np.float32)
    model(x)
    assert_same(model, written(model, opset=18), x)
    with pytest.raises(ValueError, match="came with opset 18"):
        written(model, opset=17)


def test_functions_of_bits_give_the_same() -> None:
    model, x = Integers(), np.random.default_rng(0).integers(-9, 9, (3, 5)).astype(np.int32)
    signature = [keras.InputSpec(shape=(None, 5), dtype="int32")]
    assert_same(model, written(model, opset=18, input_signature=signature), x, tolerance=0)
    with pytest.raises(ValueError, match="came with opset 18"):
        written(model, opset=17, input_signature=signature)
