"""Ops give what Keras's give, in values, dtypes and symbolic shapes, and are written to files as Keras writes them."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest

from engine import ops
from engine.ops.declare import FunctionOperation
from engine.ops.operation import KerasTensor
from engine.registry import find
from tests.engine.keras_reference import as_json, keras

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 5)).astype(np.float32)
POSITIVE = np.abs(X) + 0.1
PROBABILITIES = (np.exp(X) / np.exp(X).sum(-1, keepdims=True)).astype(np.float32)
WHOLE = RNG.integers(0, 5, (3, 4)).astype(np.int32)
ROW = X[0, 0]
FLAGS = X > 0

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *((name, (X,), {}) for name in (
        "abs", "absolute", "negative", "sign", "square", "exp", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh",
        "floor", "ceil", "round", "erf", "isnan", "isfinite", "isinf", "logical_not", "relu", "relu6", "sigmoid",
        "softplus", "softsign", "silu", "swish", "log_sigmoid", "hard_sigmoid", "hard_silu", "hard_tanh",
        "tanh_shrink", "selu", "sparse_plus", "sparse_sigmoid", "leaky_relu", "elu", "celu", "gelu", "hard_shrink",
        "soft_shrink", "squareplus", "softmax", "log_softmax", "sum", "mean", "max", "min", "prod", "all", "any",
        "argmax", "argmin", "std", "var", "logsumexp", "norm", "normalize", "ravel", "flip", "zeros_like", "ones_like",
        "sort", "argsort", "tril", "triu", "cumsum", "count_nonzero", "transpose", "nan_to_num", "average",
    )),
    *((name, (POSITIVE,), {}) for name in ("log", "log1p", "log2", "log10", "sqrt", "rsqrt", "reciprocal")),
    *((name, (PROBABILITIES,), {}) for name in ("arcsin", "arccos", "arctan", "arcsinh", "arctanh")),
    ("arccosh", (POSITIVE + 1,), {}),
    *((name, (WHOLE,), {}) for name in ("arctan", "bitwise_not", "bitwise_invert")),
    *((name, (WHOLE, WHOLE[::-1]), {}) for name in (
        "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift", "left_shift",
        "right_shift",
    )),
    *((name, (X, ROW), {}) for name in (
        "add", "subtract", "multiply", "divide", "true_divide", "maximum", "minimum", "equal", "not_equal", "greater",
        "greater_equal", "less", "less_equal", "logical_and", "logical_or", "logical_xor", "divide_no_nan",
        "logaddexp", "hypot", "isclose", "mod", "floor_divide",
    )),
    *((name, (WHOLE,), {}) for name in ("sqrt", "exp", "mean", "sum", "std", "relu", "square", "max", "round")),
    *((name, (FLAGS,), {}) for name in ("sum", "mean", "any", "all", "square", "sqrt", "argmax")),
    *((name, (WHOLE, WHOLE + 1), {}) for name in ("divide", "floor_divide", "mod", "power", "add")),
    *((name, (X,), {"axis": 1, "keepdims": True}) for name in ("sum", "mean", "max", "min", "argmax", "std", "all")),
    *((name, (X,), {"axis": (0, -1)}) for name in ("sum", "mean", "max", "var", "logsumexp", "any")),
    ("power", (POSITIVE, 1.5), {}),
    ("divide_no_nan", (X, np.array([1, 0, 2, 0, 3], np.float32)), {}),
    ("where", (FLAGS, X, 0.0), {}),
    ("clip", (X, -0.5, 0.5), {}),
    ("clip", (WHOLE, 1, 3), {}),
    ("round", (X,), {"decimals": 2}),
    ("gelu", (X,), {"approximate": False}),
    ("glu", (X[..., :4],), {}),
    ("threshold", (X, 0.3, -1.0), {}),
    ("softmax", (X,), {"axis": (1, 2)}),
    ("softmax", (X,), {"axis": None}),
    ("log_softmax", (X,), {"axis": 0}),
    ("max", (X,), {"axis": 1, "initial": 0.5}),
    ("moments", (X,), {"axes": [0, 1]}),
    ("normalize", (X,), {"axis": 1, "order": 1}),
    ("norm", (X,), {"axis": -1, "ord": math.inf}),
    ("average", (X,), {"axis": 1, "weights": np.array([1, 2, 3, 4], np.float32)}),
    ("cumsum", (X,), {"axis": 1}),
    ("sort", (X,), {"axis": 0}),
    ("reshape", (X, (4, -1)), {}),
    ("expand_dims", (X, (0, 2)), {}),
    ("expand_dims", (X, -1), {}),
    ("squeeze", (X[:1, :, :1],), {}),
    ("squeeze", (X[:1],), {"axis": 0}),
    ("broadcast_to", (ROW, (2, 5)), {}),
    ("transpose", (X, (1, 2, 0)), {}),
    ("moveaxis", (X, 0, -1), {}),
    ("moveaxis", (X, (0, 1), (2, 0)), {}),
    ("swapaxes", (X, 0, 2), {}),
    ("flip", (X,), {"axis": 1}),
    ("concatenate", ([X, X[:1]],), {}),
    ("concatenate", ([X, WHOLE[..., None]],), {"axis": -1}),
    ("stack", ([X, X],), {"axis": 1}),
    ("unstack", (X,), {"axis": 1}),
    ("split", (X, 2), {"axis": 1}),
    ("split", (X, [1, 3]), {"axis": 2}),
    ("repeat", (X, 2), {"axis": 1}),
    ("repeat", (WHOLE, 3), {}),
    ("tile", (X, (2, 1, 3)), {}),
    ("tile", (ROW, (2, 2)), {}),
    ("roll", (X, 2), {"axis": 1}),
    ("roll", (X, 3), {}),
    ("pad", (X, ((1, 0), (0, 2), (1, 1))), {}),
    ("pad", (X, ((1, 0), (0, 2), (1, 1)), "constant", 2.5), {}),
    ("pad", (X, ((1, 0), (0, 2), (1, 1)), "reflect"), {}),
    ("pad", (X, ((1, 0), (0, 2), (1, 1)), "symmetric"), {}),
    ("take", (X, np.array([[2, 0], [-1, 1]])), {"axis": 1}),
    ("take", (X, np.array([7, 0])), {}),
    ("take_along_axis", (X, np.array([[[0, 1, 2, 3, 0]]])), {"axis": 1}),
    ("top_k", (X, 2), {}),
    ("in_top_k", (WHOLE[:, 0], X[:, 0, :], 2), {}),
    ("slice", (X, (1, 0, 2), (2, 3, 1)), {}),
    ("tril", (X,), {"k": -1}),
    ("one_hot", (WHOLE, 5), {}),
    ("one_hot", (WHOLE, 4), {"axis": 1, "dtype": "int32"}),
    ("cast", (X, "int32"), {}),
    ("cast", (X, "bfloat16"), {}),
    ("matmul", (X, X.transpose(0, 2, 1)), {}),
    ("matmul", (X, ROW), {}),
    ("dot", (X, X[0].T), {}),
    ("dot", (ROW, ROW), {}),
    ("tensordot", (X, X, [[0, 1], [0, 1]]), {}),
    ("tensordot", (X, X.transpose(2, 0, 1)), {"axes": 1}),
    ("outer", (ROW, ROW[:2]), {}),
    ("arange", (5,), {}),
    ("arange", (1, 2, 0.25), {}),
    ("linspace", (0.0, 1.0, 7), {}),
    ("eye", (3, 4, 1), {}),
    ("tri", (3,), {}),
    ("full", ((2, 3), 1.5), {}),
    ("zeros", ((2,), "int32"), {}),
    ("full_like", (X, 3), {}),
    ("array", ([[1, 2], [3, 4]],), {}),
    ("convert_to_tensor", ([0.5, 1.5],), {}),
    ("conv", (X[..., None], RNG.normal(size=(2, 3, 1, 6)).astype(np.float32)), {"padding": "same", "strides": 2}),
    ("conv", (X, RNG.normal(size=(2, 5, 3)).astype(np.float32)), {"dilation_rate": 2}),
    *(
        ("conv_transpose", (X, RNG.normal(size=(size, 3, 5)).astype(np.float32)), options)
        for size, options in (
            (3, {}),
            (2, {"strides": 3}),
            (4, {"strides": 2, "padding": "same"}),
            (1, {"strides": 2, "padding": "same"}),
            (5, {"strides": 3, "padding": "same", "output_padding": 2}),
            (2, {"strides": 4, "padding": "same", "output_padding": 3}),
            (3, {"strides": 2, "output_padding": 1}),
            (4, {"dilation_rate": 2, "padding": "same"}),
        )
    ),
    ("depthwise_conv", (X, RNG.normal(size=(2, 5, 2)).astype(np.float32)), {}),
    (
        "separable_conv",
        (X, RNG.normal(size=(2, 5, 2)).astype(np.float32), RNG.normal(size=(1, 10, 3)).astype(np.float32)),
        {},
    ),
    ("max_pool", (X, 2), {"strides": 1, "padding": "same"}),
    ("average_pool", (X, 2), {"strides": 2}),
    ("batch_normalization", (X, ROW, ROW**2, -1), {"offset": ROW, "scale": ROW}),
    ("batch_normalization", (X, X[0, :, 0], X[0, :, 1] ** 2, 1), {}),
    ("layer_normalization", (X, ROW, ROW), {}),
    ("categorical_crossentropy", (PROBABILITIES, PROBABILITIES[::-1]), {}),
    ("categorical_crossentropy", (PROBABILITIES, X), {"from_logits": True, "axis": 1}),
    ("sparse_categorical_crossentropy", (WHOLE, PROBABILITIES), {}),
    ("sparse_categorical_crossentropy", (WHOLE[..., None], X), {"from_logits": True}),
    ("binary_crossentropy", (FLAGS.astype(np.float32), PROBABILITIES), {}),
    ("binary_crossentropy", (FLAGS.astype(np.float32), X), {"from_logits": True}),
]  # fmt: skip


def _id(call: Any) -> str:
    name, args, kwargs = call
    said = [f"{tuple(a.shape)}{a.dtype}" if isinstance(a, np.ndarray) else type(a).__name__ for a in args]
    return f"{name}-{','.join(said)}-{','.join(kwargs)}"


@pytest.mark.parametrize("call", CALLS, ids=_id)
def test_values_and_dtypes_equal_keras(call: Any) -> None:
    name, args, kwargs = call
    received = getattr(ops, name)(*args, **kwargs)
    expected = getattr(keras.ops, name)(*args, **kwargs)
    for ours, theirs in zip(_list(received), _list(expected), strict=True):
        values = np.asarray(theirs)
        assert ops.convert_to_numpy(ours).dtype.name == values.dtype.name
        np.testing.assert_allclose(
            ops.convert_to_numpy(ours).astype(np.float64), values.astype(np.float64), rtol=2e-5, atol=2e-6
        )


def _list(results: Any) -> list[Any]:
    return list(results) if isinstance(results, (list, tuple)) else [results]


SYMBOLIC = [
    ("reshape", ((-1, 10),), {}),
    ("reshape", ((-1, 2, 2, 5),), {}),
    ("transpose", ((2, 0, 1),), {}),
    ("mean", (), {"axis": -1}),
    ("mean", (), {"axis": 0, "keepdims": True}),
    ("concatenate", (), {"axis": 1}),
    ("stack", (), {}),
    ("split", (2,), {"axis": 1}),
    ("pad", (((0, 0), (1, 1), (0, 0)),), {}),
    ("softmax", (), {}),
    ("one_hot", (7,), {"dtype": "float32"}),
    ("expand_dims", (0,), {}),
    ("top_k", (2,), {}),
    ("moments", (), {"axes": [1]}),
    ("cast", ("int32",), {}),
    ("leaky_relu", (0.3,), {}),
]


@pytest.mark.parametrize("call", SYMBOLIC, ids=lambda call: f"{call[0]}-{call[1]}-{call[2]}")
def test_symbolic_calls_are_inferred_and_written_as_keras_does(call: Any) -> None:
    name, args, kwargs = call
    theirs, ours = keras.Input((4, 5)), KerasTensor((None, 4, 5), "float32")
    if name == "one_hot":
        theirs, ours = keras.Input((4,), dtype="int32"), KerasTensor((None, 4), "int32")
    join = name in ("concatenate", "stack")
    expected = _list(getattr(keras.ops, name)([theirs, theirs] if join else theirs, *args, **kwargs))
    received = _list(getattr(ops, name)([ours, ours] if join else ours, *args, **kwargs))
    assert [(r.shape, r.dtype.name) for r in received] == [(e.shape, e.dtype) for e in expected]
    operation, reference = received[0].history.operation, expected[0]._keras_history.operation
    ours_config, their_config = operation.get_config(), reference.get_config()
    ours_config["name"] = their_config["name"]
    assert as_json(ours_config) == as_json(their_config)


def test_every_operation_has_kerass_name_and_arguments() -> None:
    from keras.src.ops import core, image, linalg, math, nn
    from keras.src.ops import numpy as numpy_ops

    modules = {"numpy": numpy_ops, "nn": nn, "core": core, "math": math, "linalg": linalg, "image": image}
    for kind in _operation_classes(FunctionOperation):
        place = kind.__module__.rsplit(".", 1)[-1]
        theirs = getattr(modules[place], kind.__name__)
        assert find(kind.__name__, f"keras.src.ops.{place}") is kind
        settings = [name for name in inspect.signature(theirs.__init__).parameters if name not in ("self", "name")]
        assert list(kind.setting_names) == settings, kind.__name__
        operands = [name for name in inspect.signature(theirs.call).parameters if name != "self"]
        # A convolution may take its bias with it, last: one operation instead of two.
        assert [name for name in kind.operand_names if (place, name) != ("nn", "bias")] == operands, kind.__name__


def _operation_classes(kind: type) -> list[Any]:
    return [found for child in kind.__subclasses__() for found in (child, *_operation_classes(child))]


def test_public_functions_take_what_keras_functions_take() -> None:
    extra = {"KerasTensor", "is_keras_tensor", "bias", "rms_scaling", "image"}
    pairs = [(name, getattr(keras.ops, name), getattr(ops, name)) for name in ops.__all__ if name not in extra]
    pairs.append(("resize", keras.ops.image.resize, ops.image.resize))
    for name, their_function, our_function in pairs:
        theirs, ours = inspect.signature(their_function).parameters, inspect.signature(our_function).parameters
        if name == "linspace":
            continue  # without `retstep`
        ours, theirs = ({key: p for key, p in side.items() if key != "kwargs"} for side in (ours, theirs))
        assert [key for key in ours if key not in extra] == list(theirs), name
        assert {key: p.default for key, p in ours.items() if key not in extra} == {
            key: p.default for key, p in theirs.items()
        }, name
