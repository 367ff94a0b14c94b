"""Models that ask something of the writer: attention, several inputs, states, orders of axes, precisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import engine as keras
from engine import layers as L
from engine import ops
from tests.engine.onnx.writing.runtime import rows


class Example(NamedTuple):
    """`make()` makes the model, `data(count)` inputs of so many rows."""

    make: Callable[[], Any]
    data: Callable[[int], Any]
    tolerance: float = 1e-4

    @property
    def name(self) -> str:
        return self.make.__name__


def attention() -> Any:
    """A block of a transformer, written out."""
    inputs = keras.Input((6, 8))

    def heads(x: Any) -> Any:
        return ops.transpose(ops.reshape(L.Dense(8)(x), (-1, 6, 2, 4)), (0, 2, 1, 3))

    scores = ops.matmul(heads(inputs), ops.transpose(heads(inputs), (0, 1, 3, 2))) / 2.0
    mixed = ops.transpose(ops.matmul(ops.softmax(scores), heads(inputs)), (0, 2, 1, 3))
    x = L.LayerNormalization()(ops.reshape(mixed, (-1, 6, 8)) + inputs)
    return keras.Model(inputs, L.Dense(3)(L.Dense(16, activation="gelu")(x)))


def gates_and_orders() -> Any:
    """What reads convolutions: gates, a permutation, norms and products over channels, a flattened end."""
    inputs = keras.Input((9, 8, 4))
    x = L.Conv2D(6, 3, padding="same")(inputs)
    gate = L.Dense(6, activation="sigmoid")(L.Dense(3, activation="relu")(L.GlobalAveragePooling2D()(x)))
    x = L.Multiply()([x, L.Reshape((1, 1, 6))(gate)])
    x = L.Concatenate()([x, L.Conv2D(6, 1)(x), L.Activation("hard_silu")(x)])
    x = L.LayerNormalization()(L.Conv2D(4, 3)(L.Permute((2, 1, 3))(x)))
    x = L.Softmax(axis=2)(L.Dense(5)(x))
    return keras.Model(inputs, L.Dense(3)(L.BatchNormalization()(L.Flatten()(x))))


def patches() -> Any:
    """Convolution to tokens."""
    x = inputs = keras.Input((8, 8, 3))
    x = L.Reshape((16, 6))(L.Conv2D(6, 2, strides=2)(x))
    return keras.Model(inputs, L.GlobalAveragePooling1D()(L.Dense(4)(L.LayerNormalization()(x))))


def segmentation() -> Any:
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(6, 3, padding="same")(inputs)
    y = L.Conv2DTranspose(6, 3, strides=2, padding="same")(L.Conv2D(8, 3, padding="same")(L.MaxPooling2D()(x)))
    return keras.Model(inputs, L.Conv2D(2, 1, activation="softmax")(L.Concatenate()([x, y])))


def flattened_twice() -> Any:
    """A flattened convolution that is both multiplied with weights and joined with another."""
    inputs = keras.Input((6, 6, 2))
    x = L.Conv2D(3, 3, activation="relu")(inputs)
    first, second = L.Flatten()(x), L.Flatten()(L.MaxPooling2D()(x))
    joined = L.Dropout(0.3)(L.Concatenate()([first, second]))
    return keras.Model(inputs, L.Dense(2)(joined) + L.Dense(2)(first * 2.0))


def bottlenecks() -> Any:
    """ResNet50's blocks, a few of them."""
    inputs = keras.Input((32, 32, 3))
    x = L.Conv2D(8, 7, strides=2)(L.ZeroPadding2D(3)(inputs))
    x = L.MaxPooling2D(3, strides=2)(L.ZeroPadding2D(1)(L.ReLU()(L.BatchNormalization()(x))))
    for filters, strides in ((8, 1), (16, 2)):
        shortcut = L.BatchNormalization()(L.Conv2D(4 * filters, 1, strides=strides)(x))
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(filters, 1, strides=strides)(x)))
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(filters, 3, padding="same")(x)))
        x = L.ReLU()(L.Add()([shortcut, L.BatchNormalization()(L.Conv2D(4 * filters, 1)(x))]))
    return keras.Model(inputs, L.Dense(5)(L.GlobalAveragePooling2D()(x)))


def small_mobile_net() -> Any:
    options = {"weights": None, "classes": 10, "classifier_activation": None}
    return keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, **options)


def recurrent_stack() -> Any:
    return keras.Sequential(
        [
            keras.Input((7, 3)),
            L.LSTM(5, return_sequences=True),
            L.TimeDistributed(L.Dense(4, activation="relu")),
            L.GRU(4, return_sequences=True, reset_after=False, go_backwards=True),
            L.Bidirectional(L.GRU(3, return_sequences=True)),
            L.SimpleRNN(3, return_sequences=True, activation="relu"),
            L.Conv1D(3, 3, padding="same"),
            L.Flatten(),
            L.Dense(2),
        ]
    )


def given_states() -> Any:
    sequence, hidden, cell = keras.Input((5, 3)), keras.Input((4,)), keras.Input((4,))
    first = L.LSTM(4, return_state=True, return_sequences=True)(sequence, initial_state=[hidden, cell])
    second = L.GRU(4, return_state=True)(first[0], initial_state=first[1])
    return keras.Model([sequence, hidden, cell], [*first, *second])


def masked() -> Any:
    """Masks that end sequences early, or lie before them."""
    return keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            L.Embedding(9, 5, mask_zero=True),
            L.LSTM(4, return_sequences=True),
            L.Bidirectional(L.GRU(3)),
            L.Dense(2),
        ]
    )


class Cell(L.Layer):
    """A cell of one's own."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.state_size = units
        self.dense = L.Dense(units)

    def build(self, input_shape: Any) -> None:
        self.dense.build((input_shape[0], input_shape[-1] + self.state_size))

    def call(self, inputs: Any, states: Any) -> Any:
        output = ops.tanh(self.dense(ops.concatenate([inputs, states[0]], axis=-1)))
        return output, [output]


def own_cells() -> Any:
    cells = [L.LSTMCell(3), L.GRUCell(2)]
    return keras.Sequential([keras.Input((5, 3)), L.RNN(Cell(4), return_sequences=True), L.RNN(cells)])


class Subclassed(keras.Model):
    """Nests of inputs and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.dense = L.Conv2D(3, 2), L.Dense(2)

    def call(self, inputs: Any) -> Any:
        y = ops.mean(self.convolution(inputs["image"]), axis=(1, 2))
        return {"b": self.dense(y) + inputs["scale"], "a": [y]}


def subclassed() -> Any:
    model = Subclassed()
    model(_nested(2))
    return model


def _nested(count: int) -> Any:
    image, scale = rows(count, (4, 4, 1), (1,))
    return {"image": image, "scale": scale}


class Filters(L.Layer):
    """A convolution whose kernel is an input."""

    def call(self, inputs: Any) -> Any:
        x, kernels = inputs
        return ops.conv(x, kernels[0], padding="same")


def kernel_as_input() -> Any:
    x, kernels = keras.Input((6, 6, 2)), keras.Input((3, 3, 2, 4))
    return keras.Model([x, kernels], Filters()([x, kernels]))


def constants_and_inputs_as_outputs() -> Any:
    inputs = keras.Input((3,))
    return keras.Model(inputs, [inputs, ops.ones_like(inputs), inputs])


def half() -> Any:
    options = {"dtype": "mixed_float16"}
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            L.Conv2D(4, 3, **options),
            L.BatchNormalization(**options),
            L.ReLU(**options),
            L.MaxPooling2D(**options),
            L.Flatten(**options),
            L.LayerNormalization(**options),
            L.Dense(3, **options),
        ]
    )


def brain_float() -> Any:
    options = {"dtype": "mixed_bfloat16"}
    return keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3, **options), L.Flatten(**options), L.Dense(3, dtype="bfloat16")]
    )


def double() -> Any:
    options = {"dtype": "float64"}
    return keras.Sequential(
        [
            keras.Input((8, 8, 3), dtype="float64"),
            L.Conv2D(4, 3, **options),
            L.BatchNormalization(**options),
            L.AveragePooling2D(2, **options),
            L.UpSampling2D(**options),
            L.Activation("gelu", **options),
            L.Reshape((-1, 4), **options),
            L.LSTM(3, **options),
            L.Dense(3, **options),
        ]
    )


def _words(count: int) -> Any:
    words = np.random.default_rng(count).integers(1, 9, (count, 6)).astype(np.int32)
    words[0, 3:] = 0
    words[-1, :2] = 0
    return words


EXAMPLES = [
    Example(attention, lambda count: rows(count, (6, 8))),
    Example(gates_and_orders, lambda count: rows(count, (9, 8, 4))),
    Example(patches, lambda count: rows(count, (8, 8, 3))),
    Example(segmentation, lambda count: rows(count, (8, 8, 3))),
    Example(flattened_twice, lambda count: rows(count, (6, 6, 2))),
    Example(recurrent_stack, lambda count: rows(count, (7, 3))),
    Example(given_states, lambda count: rows(count, (5, 3), (4,), (4,))),
    Example(masked, _words),
    Example(own_cells, lambda count: rows(count, (5, 3))),
    Example(subclassed, _nested),
    Example(kernel_as_input, lambda count: rows(count, (6, 6, 2), (3, 3, 2, 4))),
    Example(constants_and_inputs_as_outputs, lambda count: rows(count, (3,))),
    # Half types are rounded elsewhere; bfloat16 is written as float32.
    Example(half, lambda count: rows(count, (8, 8, 3)), 5e-3),
    Example(brain_float, lambda count: rows(count, (8, 8, 3)), 5e-2),
    Example(double, lambda count: rows(count, (8, 8, 3)).astype(np.float64)),
]
