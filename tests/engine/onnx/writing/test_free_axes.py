"""Axes whose lengths are open: the batch, sizes of images, lengths of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import engine as keras
from engine import layers as L
from engine import ops
from tests.engine.onnx.writing.runtime import assert_same, rows, written


def _dimensions(info: Any) -> list[Any]:
    return [item.dim_value or item.dim_param for item in info.type.tensor_type.shape.dim]


def test_images_of_any_size_are_padded_as_same_says() -> None:
    model = keras.Sequential(
        [
            keras.Input((None, None, 3), name="image"),
            L.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            L.BatchNormalization(),
            L.MaxPooling2D(3, 2, padding="same"),
            L.DepthwiseConv2D(3, strides=2, padding="same"),
            L.UpSampling2D(2),
            L.GlobalAveragePooling2D(),
            L.Dense(2),
        ]
    )
    proto = written(model)
    assert _dimensions(proto.graph.input[0]) == ["batch", "image_1", "image_2", 3]
    for size in ((33, 40), (32, 32), (57, 61), (20, 19)):
        assert_same(model, proto, rows(2, (*size, 3)))


def test_same_padding_is_told_from_a_fixed_one_at_every_depth() -> None:
    model = keras.Sequential([keras.Input((None, None, 2))])
    for depth in range(5):  # behind layers that round down, which many sizes leave at odd lengths alone
        model.add(L.Conv2D(2, 3, strides=2, padding="same" if depth == 3 else "valid"))
    proto = written(model)
    assert [any(item.name == "auto_pad" for item in node.attribute) for node in proto.graph.node].count(True) == 1
    for size in ((127, 128), (133, 135), (139, 143), (147, 151)):
        assert_same(model, proto, rows(1, (*size, 2)))


def test_images_of_any_size_come_out_as_images() -> None:
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            L.Conv2D(4, 3, strides=2),
            L.AveragePooling2D(2),
            L.Conv2DTranspose(3, 4, strides=2, padding="same"),
            L.ZeroPadding2D(1),
            L.Cropping2D(((0, 1), (1, 0))),
            L.UpSampling2D(2, interpolation="bilinear"),
        ]
    )
    proto = written(model)
    for size in ((33, 40), (32, 32), (57, 61)):
        assert_same(model, proto, rows(1, (*size, 3)))


def test_sequences_of_any_length() -> None:
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            L.Embedding(20, 6),
            L.LSTM(5, return_sequences=True),
            L.Bidirectional(L.GRU(4, return_sequences=True)),
            L.TimeDistributed(L.Dense(4)),
            L.GlobalMaxPooling1D(),
            L.Dense(2, activation="softmax"),
        ]
    )
    proto = written(model)
    rng = np.random.default_rng(0)
    for shape in ((1, 7), (3, 12), (2, 1)):
        assert_same(model, proto, rng.integers(0, 20, shape).astype(np.int32))


def test_inputs_that_must_be_equally_long_share_an_axis() -> None:
    a, b = keras.Input((None, 3), name="a"), keras.Input((None, 3), name="b")
    model = keras.Model([a, b], L.Add()([a, b])[:, 1:])
    proto = written(model)
    assert _dimensions(proto.graph.input[0])[1] == _dimensions(proto.graph.input[1])[1] != ""
    assert_same(model, proto, rows(2, (5, 3), (5, 3)))


def test_a_shape_is_computed_from_the_inputs_where_it_has_to_be() -> None:
    a = keras.Input((None, 4))

    class Spread(L.Layer):
        def call(self, x: Any) -> Any:
            count, length, width = x.shape
            table = ops.broadcast_to(ops.mean(x, axis=1, keepdims=True), (count, 2 * length + 1, width))
            pairs = ops.reshape(ops.concatenate([x, x], axis=1), (count, length, 2, width))
            return [table, pairs, ops.zeros((length, count, 2)), x[:, -3:-1], x[:, length - 1]]

    model = keras.Model(a, Spread()(a))
    proto = written(model)
    for count, length in ((1, 5), (3, 8)):
        assert_same(model, proto, rows(count, (length, 4)))


def test_input_signature_fixes_axes() -> None:
    model = keras.Sequential([keras.Input((None, None, 3)), L.Conv2D(2, 3), L.GlobalMaxPooling2D()])
    proto = written(model, input_signature=[keras.InputSpec(shape=(None, 8, 9, 3))])
    assert _dimensions(proto.graph.input[0]) == ["batch", 8, 9, 3]
    assert_same(model, proto, rows(2, (8, 9, 3)))
    fixed = written(model, input_signature=keras.InputSpec(shape=(2, 8, 9, 3), dtype="float32"))
    assert _dimensions(fixed.graph.input[0]) == [2, 8, 9, 3]
    assert _dimensions(fixed.graph.output[0]) == [2, 2]


def test_what_computes_in_other_steps_for_other_lengths_is_refused() -> None:
    masked = keras.Sequential([keras.Input((None,), dtype="int32"), L.Embedding(9, 3, mask_zero=True), L.LSTM(2)])
    with pytest.raises(ValueError, match=r"in other steps for other lengths.*input_signature"):
        written(masked)
    proto = written(masked, input_signature=[keras.InputSpec(shape=(None, 4), dtype="int32")])
    assert_same(masked, proto, np.array([[1, 2, 0, 0], [3, 4, 5, 6]], np.int32))


def test_a_crop_that_halves_a_free_length_is_refused() -> None:
    class Half(L.Layer):
        def call(self, x: Any) -> Any:
            return x[:, x.shape[1] // 2 :]

    inputs = keras.Input((None, 3))
    with pytest.raises(ValueError, match="does not follow from those of the inputs"):
        written(keras.Model(inputs, Half()(inputs)))


def test_limits_beyond_the_first_lengths_tried_are_noticed() -> None:
    class Cut(L.Layer):
        def call(self, x: Any) -> Any:
            return x[:, :100]

    inputs = keras.Input((None, 3))
    with pytest.raises(ValueError, match="does not follow from those of the inputs"):
        written(keras.Model(inputs, Cut()(inputs)))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x * float(x.shape[0]), "has other values|is another one"),
        (lambda x: ops.reshape(x, (x.shape[0], 4)) if x.shape[0] == 19 else x[:, :4], "in other steps"),
        (lambda x: ops.broadcast_to(x[:1], (x.shape[0] ** 2, 4)), "does not follow from those of the inputs"),
    ],
    ids=["constant", "steps", "square"],
)
def test_what_depends_on_the_batch_otherwise_than_in_a_line_is_refused(function: Any, reason: str) -> None:
    class Applied(L.Layer):
        def call(self, x: Any) -> Any:
            return function(x)

    inputs = keras.Input((4,))
    with pytest.raises(ValueError, match=reason):
        written(keras.Model(inputs, Applied()(inputs)))
