"""What scikit-learn's models are made of beside trees (domain ai.onnx.ml).

Texts are not computed with. An output of texts, the names of classes, is left out; the scores of the classes stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import ops
from engine.onnx.reading.arithmetic import pairwise
from engine.onnx.reading.builder import Builder
from engine.onnx.reading.linear import dense
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import TRADITIONAL, operator
from engine.onnx.reading.scores import classified, text, transformed
from engine.onnx.reading.value import Value


def _floats(builder: Builder, value: Value) -> Value:
    if value.dtype.kind == "f":
        return value
    return builder.unary(value, lambda tensor: ops.cast(tensor, "float32"))


@operator("LinearClassifier", domain=TRADITIONAL)
def linear_classifier(builder: Builder, node: Node) -> Sequence[Value]:
    """ONNX's LinearClassifier: the best class, and the scores of all."""
    labels = node.get("classlabels_ints") or node.get("classlabels_strings") or []
    weights = np.asarray(node.get("coefficients", []), np.float32)
    offsets = np.asarray(node.get("intercepts") or [0.0], np.float32)
    rows = len(offsets)
    if weights.size % rows or (len(labels) not in (rows, 2) or rows == 0):
        raise ValueError(f"it has {weights.size} coefficients, {rows} intercepts and {len(labels)} classes")
    scores = dense(builder, _floats(builder, node[0]), weights.reshape(rows, -1).T, offsets).tensor
    is_binary = rows == 1 and len(labels) == 2
    return classified(builder, node, scores, labels, is_binary, False)


@operator("LinearRegressor", domain=TRADITIONAL)
def linear_regressor(builder: Builder, node: Node) -> Value:
    """ONNX's LinearRegressor."""
    count = node.get("targets", 1)
    weights = np.asarray(node.get("coefficients", []), np.float32).reshape(count, -1).T
    offsets = np.asarray(node.get("intercepts") or [0.0] * count, np.float32)
    result = dense(builder, _floats(builder, node[0]), weights, offsets)
    return Value("", transformed(result.tensor, node.get("post_transform", "NONE"), node))


@operator("Scaler", domain=TRADITIONAL)
def scaler(builder: Builder, node: Node) -> Value:
    """ONNX's Scaler: (x - offset) · scale by feature."""
    value = _floats(builder, node[0])
    for function, name in (("subtract", "offset"), ("multiply", "scale")):
        numbers = np.asarray(node.get(name, []), np.float32)
        if numbers.size:
            constant = numbers.reshape(()) if numbers.size == 1 else numbers
            value = pairwise(builder, function, value, Value("", constant=constant))
    return value


@operator("Normalizer", domain=TRADITIONAL)
def normalizer(builder: Builder, node: Node) -> Value:
    """ONNX's Normalizer: each row by its largest, its sum or its length."""
    value = _floats(builder, node[0])
    tensor, kind = builder.as_file(value), node.get("norm", "MAX")
    if kind == "L1":
        size = ops.sum(ops.abs(tensor), axis=-1, keepdims=True)
    elif kind == "L2":
        size = ops.sqrt(ops.sum(ops.square(tensor), axis=-1, keepdims=True))
    elif kind == "MAX":
        size = ops.max(tensor, axis=-1, keepdims=True)
    else:
        raise ValueError(f"its norm {kind!r} is unknown")
    # A row of zeros stays as it is.
    return Value("", ops.divide(tensor, ops.where(ops.equal(size, 0.0), ops.ones_like(size), size)))


@operator("Imputer", domain=TRADITIONAL)
def imputer(builder: Builder, node: Node) -> Value:
    """ONNX's Imputer: other numbers in place of those that are missing."""
    value, filling = node[0], np.asarray(node.get("imputed_value_floats") or [], np.float32)
    missing = node.get("replaced_value_float", 0.0)
    if not filling.size or value.dtype.kind != "f":
        node.refuse("filling in integers is not supported")
    tensor = builder.as_file(value)
    is_missing = ops.isnan(tensor) if np.isnan(missing) else ops.equal(tensor, missing)
    numbers: Any = float(filling[0]) if filling.size == 1 else ops.convert_to_tensor(filling.reshape(1, -1))
    return Value("", ops.where(is_missing, numbers, tensor))


@operator("Binarizer", domain=TRADITIONAL)
def binarizer(builder: Builder, node: Node) -> Value:
    """ONNX's Binarizer: 1 above a threshold, else 0."""
    threshold = node.get("threshold", 0.0)
    value = _floats(builder, node[0])
    return builder.unary(value, lambda tensor: ops.cast(ops.greater(tensor, threshold), tensor.dtype.name))


@operator("FeatureVectorizer", domain=TRADITIONAL)
def feature_vectorizer(builder: Builder, node: Node) -> Value:
    """ONNX's FeatureVectorizer: features side by side."""
    parts = [builder.as_file(_floats(builder, node[index])) for index in range(len(node))]
    return Value("", ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0])


@operator("OneHotEncoder", domain=TRADITIONAL)
def one_hot_encoder(builder: Builder, node: Node) -> Value:
    """ONNX's OneHotEncoder: an axis more, 1 where a number is a category; 0 everywhere for others."""
    if node.get("cats_strings"):
        node.refuse("categories that are texts are not supported")
    if not node.get("zeros", 1):
        node.refuse("an error for unknown categories (zeros=0) is not supported")
    categories = np.asarray(node.get("cats_int64s", []), np.float32)
    tensor = ops.expand_dims(builder.as_file(_floats(builder, node[0])), -1)
    return Value("", ops.cast(ops.equal(tensor, ops.convert_to_tensor(categories)), "float32"))


@operator("ArrayFeatureExtractor", domain=TRADITIONAL)
def array_feature_extractor(builder: Builder, node: Node) -> Value:
    """ONNX's ArrayFeatureExtractor: some columns; of a constant row, the entries of numbers that are computed."""
    value, places = node[0], node[1]
    if value.constant is not None and value.constant.dtype.kind == "U":
        return text([str(item) for item in value.constant.ravel()])
    if places.constant is not None:
        columns = [int(item) for item in places.constant.ravel()]
        return Value("", ops.take(builder.as_file(value), columns, axis=-1))
    if value.constant is None or value.constant.size != max(value.constant.shape, default=1):
        node.refuse("columns that are computed when the model runs are not supported, but of one constant row")
    found = ops.take(ops.convert_to_tensor(value.constant.ravel()), builder.as_file(places), axis=0)
    return Value("", builder.reshaped(found, (1, *builder.shape(Value("", found)))))


@operator("LabelEncoder", domain=TRADITIONAL)
def label_encoder(builder: Builder, node: Node) -> Value:
    """ONNX's LabelEncoder from numbers to numbers, or to the texts that classes are called."""
    texts = node.get("values_strings") or node.get("classes_strings")
    if texts:
        return text([str(item) for item in texts])
    if node.get("keys_strings") or node.get("keys_tensor") is not None:
        node.refuse("keys that are texts, or tensors, are not supported")
    keys = node.get("keys_int64s") or node.get("keys_floats") or []
    integers = node.get("values_int64s")
    values = integers or node.get("values_floats") or []
    if not keys or len(keys) != len(values):
        raise ValueError(f"it has {len(keys)} keys and {len(values)} values")
    default = node.get("default_int64", -1) if integers else node.get("default_float", -0.0)
    tensor = builder.as_file(node[0])
    result = ops.full_like(tensor, default, dtype="int64" if integers else "float32")
    for key, value in zip(keys, values, strict=True):
        result = ops.where(ops.equal(tensor, key), value, result)
    return Value("", result)


@operator("ZipMap", domain=TRADITIONAL)
def zip_map(builder: Builder, node: Node) -> Value:
    """ONNX's ZipMap: dictionaries from labels to scores; here the scores stay the matrix that they are."""
    value = node[0]
    return Value("", value.tensor, value.order, columns=value.columns)
