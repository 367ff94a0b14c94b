"""Every layer with its options, and every function on arrays, gives in ONNX Runtime what it gives here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import engine as keras
from engine import layers, ops
from engine.ops.neural import batch_normalization_training
from engine.ops.recurrent import gru, lstm, simple_rnn
from tests.engine.layers.cases import CASES, Case
from tests.engine.onnx.writing.runtime import assert_same, rows, run, written
from tests.engine.saving.architectures import randomise


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_layer_gives_the_same_in_onnx_runtime(case: Case) -> None:
    inputs = [keras.Input(shape[1:]) for shape in case.shapes]
    nest = inputs if len(inputs) > 1 else inputs[0]
    model = keras.Model(nest, getattr(layers, case.layer)(**case.options)(nest))
    randomise(model)
    proto = written(model)
    for count in (1, 3):
        assert_same(model, proto, rows(count, *(shape[1:] for shape in case.shapes)))


FUNCTIONS = {
    "look-ups": lambda a: [
        *ops.top_k(a, 3),
        a[:, -1],
        a[:, 1:-1:2, ::-1],
        a[:, None, 2:4],
        ops.take(a, [0, 2], axis=2),
        ops.take_along_axis(a, ops.argsort(a, axis=1), axis=1),
        ops.take_along_axis(a, ops.argmax(a, axis=1, keepdims=True), axis=1),
        ops.sort(a, axis=-1),
        ops.argsort(ops.negative(a), axis=1),
    ],
    "arithmetic": lambda a: [
        ops.exp(a), ops.expm1(a), ops.log1p(ops.abs(a)), ops.square(a), ops.sqrt(ops.abs(a)), ops.sign(a), ops.floor(a),
        ops.ceil(a), ops.round(a * 3), ops.mod(a, 0.7), a // 0.3, a / 3, 1 - a, ops.power(ops.abs(a), 1.5), ops.sin(a),
        ops.cos(a), ops.tanh(a), ops.erf(a), ops.clip(a, -1, 0.5), ops.maximum(a, 0.2), ops.minimum(a, -0.2),
    ],
    "logic": lambda a: [
        ops.where(a > 0, a, ops.exp(a)), ops.isnan(ops.log(a)), ops.isfinite(ops.log(a)), ops.logical_and(a > 0, a < 1),
        ops.logical_or(a < 0, a > 1), ops.logical_not(a >= 0), ops.equal(a, a), ops.not_equal(a, a), a <= 0,
        ops.any(a > 1, axis=1), ops.all(a > -1, axis=(1, 2)), ops.logical_and(a, a), (a > 0) == (a < 1),
    ],
    "reductions": lambda a: [
        ops.mean(a, axis=0), ops.sum(a, axis=(1, 2)), ops.prod(a, axis=1), ops.max(a, axis=-1, keepdims=True),
        ops.min(a, axis=(0, 2)), ops.std(a, axis=-1), ops.logsumexp(a, axis=1), ops.argmax(a, axis=1),
        ops.argmin(a, axis=-1), ops.cumsum(a, axis=1), ops.sum(a),
    ],
    "activations": lambda a: [
        ops.log_softmax(a), ops.softmax(a, axis=1), ops.softplus(a), ops.silu(a), ops.selu(a), ops.elu(a), ops.relu(a),
        ops.gelu(a, approximate=True), ops.gelu(a, approximate=False), ops.hard_sigmoid(a), ops.hard_silu(a),
        ops.sigmoid(a), ops.leaky_relu(a), ops.log_softmax(a, axis=(1, 2)),
    ],
    "shapes": lambda a: [
        ops.pad(a, ((0, 0), (1, 2), (0, 0))), ops.stack([a, a], axis=2), ops.repeat(a, 2, axis=1), ops.flip(a, axis=1),
        ops.tile(a, (1, 2, 1)), ops.swapaxes(a, 1, 2), ops.zeros_like(a) + a, ops.reshape(a, (-1,)), ops.squeeze(a[:1]),
        ops.broadcast_to(a[:, :1], a.shape) if a.shape[0] else a, ops.reshape(a, (-1, 3, 2, 5)),
        ops.matmul(a, ops.swapaxes(a, 1, 2)), ops.matmul(a[:, 0], ops.transpose(a[:, 1])), ops.matmul(a, a[0, 0]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("opset", [13, 17, 21])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_give_the_same_in_onnx_runtime(name: str, opset: int) -> None:
    class Functions(keras.Model):
        def call(self, inputs: Any) -> Any:
            return FUNCTIONS[name](inputs)

    model = Functions()
    x = rows(3, (5, 6))
    with np.errstate(invalid="ignore"):
        model(x)
        assert_same(model, written(model, opset=opset), x)


def test_integers_are_computed_as_integers() -> None:
    a, b = keras.Input((5,), dtype="int32"), keras.Input((5,), dtype="uint8")
    outputs = [
        a // 3 + a % 4 - ops.maximum(a, 2) + ops.cast(b, "int32"), a / 2, a**2, ops.abs(-a), ops.sum(a, axis=1),
        ops.mean(a, axis=1), ops.sort(a, axis=-1), ops.cumsum(a, axis=1), ops.one_hot(a, 7), b + b, ops.max(b, axis=1),
        ops.minimum(b, 3), ops.any(a > 3, axis=1), ops.all(ops.cast(a, "bool"), axis=1), ops.cast(b, "float32") / 255.0,
    ]  # fmt: skip
    model = keras.Model([a, b], outputs)
    rng = np.random.default_rng(0)
    x = [rng.integers(-9, 9, (3, 5)).astype(np.int32), rng.integers(0, 256, (3, 5)).astype(np.uint8)]
    proto = written(model)
    assert_same(model, proto, x, tolerance=1e-6)
    wanted = [array.dtype for array in model.predict(x, verbose=0)]
    assert [array.dtype for array in run(proto, x)] == wanted


def test_weights_and_statistics_may_be_computed() -> None:
    class Computed(keras.Model):
        def call(self, inputs: Any) -> Any:
            x, row = inputs["x"], ops.mean(inputs["x"], axis=(0, 1))
            state = ops.zeros((x.shape[0], 2))

            def matrix(rows: int, columns: int) -> Any:
                return ops.reshape(ops.tile(row, (rows * columns // 4,)), (rows, columns)) / 3

            normal = ops.batch_normalization(x, row, ops.square(row) + 1.0, -1, offset=row, scale=row + 1.0)
            return [
                *lstm(x, (state, state + 1.0), matrix(4, 8), matrix(2, 8), matrix(1, 8)[0], backwards=True),
                *gru(x, state + 0.5, matrix(4, 6), matrix(2, 6), ops.tile(matrix(1, 4), (2, 2))[:, :6]),
                *simple_rnn(x, state, matrix(4, 2), matrix(2, 2), activation="relu"),
                normal,
                *batch_normalization_training(x, -1, row, row, 1e-3),
                ops.matmul(x, matrix(4, 3)),
            ]

    model, x = Computed(), {"x": rows(3, (5, 4))}
    model(x)
    assert_same(model, written(model), x)
