"""TensorFlow's functions by their names below `tf`, each as a call of our operations.

Arguments have TensorFlow's names, since files record calls by them. Arguments that are not taken here are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import ops
from engine.ops.operation import any_symbolic

Function = Callable[..., Any]

PARTS_LIMIT = 4096
"""How many tensors one may be taken apart into: the lengths are what a file says."""
LENGTH_LIMIT = 2**40
"""The largest length that arithmetic on lengths may give."""


def _unary(function: Function) -> Function:
    return lambda x=None, features=None, logits=None, input=None, tensor=None: function(
        next(value for value in (x, features, logits, input, tensor) if value is not None)
    )


def _binary(function: Function) -> Function:
    return lambda x, y: function(x, y)


def _reduction(function: Function) -> Function:
    return lambda input_tensor, axis=None, keepdims=False: function(input_tensor, axis=_axes(axis), keepdims=keepdims)


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _listed(values: Any) -> list[Any]:
    """The tensors of a list; files write a list of one as that one."""
    return list(values) if isinstance(values, (list, tuple)) else [values]


def _matmul(
    a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, adjoint_a: bool = False, **rest: Any
) -> Any:
    if adjoint_a or any(rest.values()):
        raise ValueError(f"of its options only transpose_a and transpose_b are known. Received: {rest}")
    a = ops.swapaxes(a, -1, -2) if transpose_a else a
    return ops.matmul(a, ops.swapaxes(b, -1, -2) if transpose_b else b)


def _transpose(a: Any, perm: Any = None, conjugate: bool = False) -> Any:
    return ops.transpose(a, perm)


def _split(value: Any, num_or_size_splits: Any, axis: int = 0, num: Any = None) -> list[Any]:
    if isinstance(num_or_size_splits, int):
        _check_parts(num_or_size_splits)
        return list(ops.split(value, num_or_size_splits, axis=axis))
    _check_parts(len(num_or_size_splits))
    ends: list[int] = []
    for size in num_or_size_splits[:-1]:
        if size < 0:
            raise ValueError("a size of -1 is known at the end alone.")
        ends.append((ends[-1] if ends else 0) + size)
    return list(ops.split(value, ends, axis=axis))


def _unstack(value: Any, num: Any = None, axis: int = 0) -> list[Any]:
    _check_parts(value.shape[axis])
    return list(ops.unstack(value, num, axis=axis))


def _check_parts(count: int | None) -> None:
    if count is None or not 0 < count <= PARTS_LIMIT:
        raise ValueError(f"it gives {count} tensors; at most {PARTS_LIMIT} are taken apart.")


def _pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0) -> Any:
    mode = mode.lower()
    if mode == "constant":
        return ops.pad(tensor, paddings, mode, constant_values=constant_values)
    return ops.pad(tensor, paddings, mode)


def _resize(
    images: Any, size: Any, method: str = "bilinear", preserve_aspect_ratio: bool = False, antialias: bool = False
) -> Any:
    if preserve_aspect_ratio:
        raise ValueError("preserve_aspect_ratio=True is not known.")
    return ops.image.resize(images, tuple(size), interpolation=method, antialias=antialias)


def _gather(params: Any, indices: Any, validate_indices: Any = None, axis: Any = None, batch_dims: int = 0) -> Any:
    if batch_dims:
        raise ValueError("batch_dims are not known.")
    if isinstance(indices, list):
        indices = ops.array(indices, dtype="int32")
    return ops.take(params, indices, axis=axis or 0)


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None or y is None:
        raise ValueError("without values it gives as many places as the data has.")
    return ops.where(condition, x, y)


def _normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, dim: Any = None) -> Any:
    total = ops.sum(ops.square(x), axis=_axes(axis if dim is None else dim), keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(total, epsilon)))


def _pool(function: Function) -> Function:
    def pool(input: Any, ksize: Any, strides: Any, padding: str, data_format: str = "NHWC") -> Any:
        if data_format != "NHWC":
            raise ValueError("channels come last here.")
        ksize, strides = (_spatial(value) for value in (ksize, strides))
        return function(input, ksize, strides, padding.lower())

    return pool


def _spatial(value: Any) -> Any:
    return tuple(value[1:3]) if isinstance(value, list) and len(value) == 4 else value


def _clip(t: Any, clip_value_min: Any, clip_value_max: Any) -> Any:
    return ops.clip(t, clip_value_min, clip_value_max)


def _softmax(function: Function) -> Function:
    return lambda logits, axis=-1, dim=None: function(logits, axis=-1 if axis is None and dim is None else dim or axis)


def _reshape(tensor: Any, shape: Any) -> Any:
    return ops.reshape(tensor, tuple(shape))


def _cast(x: Any, dtype: Any) -> Any:
    return ops.cast(x, dtype)


def _squeeze(input: Any, axis: Any = None, squeeze_dims: Any = None) -> Any:
    return ops.squeeze(input, axis=_axes(axis if squeeze_dims is None else squeeze_dims))


def _index(function: Function) -> Function:
    def index(input: Any, axis: int = 0, output_type: str = "int64", dimension: Any = None) -> Any:
        return ops.cast(function(input, axis=axis if dimension is None else dimension), output_type)

    return index


def _bias_add(value: Any, bias: Any, data_format: Any = None) -> Any:
    if not any_symbolic(bias):
        bias = ops.array(bias, dtype="float32")
    return ops.add(value, bias)


def _cumsum(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Any:
    if exclusive or reverse:
        raise ValueError("exclusive and reversed sums are not known.")
    return ops.cumsum(x, axis=axis)


def _one_hot(indices: Any, depth: int, on_value: Any = None, off_value: Any = None, axis: Any = None) -> Any:
    if on_value not in (None, 1, 1.0) or off_value not in (None, 0, 0.0):
        raise ValueError("values other than 1 and 0 are not known.")
    return ops.one_hot(indices, depth, axis=-1 if axis is None else axis)


def _shape(input: Any, out_type: Any = None) -> tuple[int, ...]:
    """The lengths of a placeholder, -1 where one is free."""
    return tuple(-1 if length is None else length for length in input.shape)


def _get_item(tensor: Any, slice_spec: Any) -> Any:
    def part(item: Any) -> Any:
        if isinstance(item, dict):
            if item.get("class_name") == "__ellipsis__":
                return Ellipsis
            return slice(item.get("start"), item.get("stop"), item.get("step"))
        if isinstance(item, list):
            raise ValueError("lists of places are not known.")
        return item

    key = tuple(part(item) for item in slice_spec) if isinstance(slice_spec, list) else part(slice_spec)
    return tensor[key]


def _same(input: Any = None, x: Any = None, tensor: Any = None, value: Any = None, dtype: Any = None) -> Any:
    return next(item for item in (input, x, tensor, value) if item is not None)


_UNARY: dict[str, Function] = {
    **{
        f"math.{name}": getattr(ops, name)
        for name in (
            *(
                "abs",
                "ceil",
                "cos",
                "cosh",
                "erf",
                "exp",
                "expm1",
                "floor",
                "log",
                "log1p",
                "logical_not",
                "log_sigmoid",
            ),
            *("negative", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "softplus", "softsign"),
            *("sqrt", "square", "tan", "tanh"),
        )
    },
    **{f"math.is_{name}": getattr(ops, f"is{name}") for name in ("finite", "inf", "nan")},
    **{
        f"nn.{name}": getattr(ops, name)
        for name in ("elu", "relu", "relu6", "selu", "sigmoid", "softplus", "softsign", "tanh")
    },
    "ones_like": ops.ones_like,
    "stop_gradient": ops.stop_gradient,
    "zeros_like": ops.zeros_like,
}
_BINARY: dict[str, Function] = {
    **{
        f"math.{name}": getattr(ops, name)
        for name in (
            *("add", "divide", "divide_no_nan", "equal", "greater", "greater_equal", "less", "less_equal"),
            *("logical_and", "logical_or", "maximum", "minimum", "multiply", "not_equal", "subtract"),
        )
    },
    **{f"__operators__.{name}": getattr(ops, name) for name in ("add", "subtract", "multiply")},
    "math.floordiv": ops.floor_divide,
    "math.floormod": ops.mod,
    "math.logical_xor": ops.logical_xor,
    "math.mod": ops.mod,
    "math.pow": ops.power,
    "math.squared_difference": lambda x, y: ops.square(ops.subtract(x, y)),
    "math.truediv": ops.divide,
    "__operators__.eq": ops.equal,
    "__operators__.ne": ops.not_equal,
}
_REDUCTIONS: dict[str, Function] = {
    "all": ops.all,
    "any": ops.any,
    "logsumexp": ops.logsumexp,
    "max": ops.max,
    "mean": ops.mean,
    "min": ops.min,
    "prod": ops.prod,
    "std": ops.std,
    "sum": ops.sum,
    "variance": ops.var,
}

FUNCTIONS: dict[str, Function] = {
    **{name: _unary(function) for name, function in _UNARY.items()},
    **{name: _binary(function) for name, function in _BINARY.items()},
    **{f"math.reduce_{name}": _reduction(function) for name, function in _REDUCTIONS.items()},
    "__operators__.getitem": _get_item,
    "broadcast_to": lambda input, shape: ops.broadcast_to(input, tuple(shape)),
    "cast": _cast,
    "clip_by_value": _clip,
    "concat": lambda values, axis: ops.concatenate(_listed(values), axis=axis),
    "convert_to_tensor": _same,
    "expand_dims": lambda input, axis=None, dim=None: ops.expand_dims(input, axis=dim if axis is None else axis),
    "gather": _gather,
    "identity": _same,
    "image.resize": _resize,
    "linalg.l2_normalize": _normalize,
    "linalg.matmul": _matmul,
    "linalg.normalize": lambda tensor, ord="euclidean", axis=None: [
        ops.divide(tensor, length := ops.norm(tensor, axis=_axes(axis), keepdims=True)),
        length,
    ],
    "math.accumulate_n": lambda inputs: sum(_listed(inputs)[1:], _listed(inputs)[0]),
    "math.add_n": lambda inputs: sum(_listed(inputs)[1:], _listed(inputs)[0]),
    "math.argmax": _index(ops.argmax),
    "math.argmin": _index(ops.argmin),
    "math.cumsum": _cumsum,
    "math.l2_normalize": _normalize,
    "nn.avg_pool2d": _pool(ops.average_pool),
    "nn.bias_add": _bias_add,
    "nn.crelu": lambda features, axis=-1: ops.concatenate([ops.relu(features), ops.relu(-features)], axis=axis),
    "nn.gelu": lambda features, approximate=False: ops.gelu(features, approximate=approximate),
    "nn.l2_normalize": _normalize,
    "nn.leaky_relu": lambda features, alpha=0.2: ops.leaky_relu(features, negative_slope=alpha),
    "nn.log_softmax": _softmax(ops.log_softmax),
    "nn.max_pool2d": _pool(ops.max_pool),
    "nn.silu": lambda features, beta=1.0: ops.multiply(features, ops.sigmoid(ops.multiply(features, beta))),
    "nn.softmax": _softmax(ops.softmax),
    "one_hot": _one_hot,
    "pad": _pad,
    "repeat": lambda input, repeats, axis=None: ops.repeat(input, repeats, axis=axis),
    "reshape": _reshape,
    "reverse": lambda tensor, axis: ops.flip(tensor, axis=_axes(axis)),
    "roll": lambda input, shift, axis: ops.roll(input, shift, axis=axis),
    "shape": _shape,
    "split": _split,
    "squeeze": _squeeze,
    "stack": lambda values, axis=0: ops.stack(_listed(values), axis=axis),
    "tensordot": lambda a, b, axes: ops.tensordot(a, b, axes=axes),
    "tile": lambda input, multiples: ops.tile(input, tuple(multiples)),
    "transpose": _transpose,
    "unstack": _unstack,
    "where": _where,
}
_MATHEMATICAL = ("nn.sigmoid", "nn.tanh", "nn.softplus", "nn.softsign")
FUNCTIONS.update({name.replace("nn.", "math."): FUNCTIONS[name] for name in _MATHEMATICAL})
FUNCTIONS["nn.swish"] = FUNCTIONS["nn.silu"]
FUNCTIONS["nn.max_pool"] = FUNCTIONS["nn.max_pool2d"]
FUNCTIONS["nn.avg_pool"] = FUNCTIONS["nn.avg_pool2d"]
FUNCTIONS["math.softmax"] = FUNCTIONS["nn.softmax"]
FUNCTIONS["matmul"] = FUNCTIONS["linalg.matmul"]


def _known_lengths(function: Callable[[int, int], int]) -> Function:
    def follow(x: Any, y: Any) -> int:
        if not all(isinstance(item, int) and item >= 0 for item in (x, y)):
            raise ValueError("it computes with a length that the model leaves free.")
        length = function(x, y)
        if abs(length) > LENGTH_LIMIT:
            raise ValueError(f"it gives a length of {length}.")
        return length

    return follow


ON_LENGTHS: dict[str, Function] = {
    "__operators__.add": _known_lengths(int.__add__),
    "__operators__.getitem": _get_item,
    "cast": lambda x, dtype: x,
    "convert_to_tensor": _same,
    "math.add": _known_lengths(int.__add__),
    "math.floordiv": _known_lengths(lambda x, y: x // max(y, 1)),
    "math.multiply": _known_lengths(int.__mul__),
    "math.subtract": _known_lengths(int.__sub__),
    "stack": lambda values, axis=0: tuple(_listed(values)),
}
"""Functions of lengths that are known when the model is made: what is left of `tf.shape`."""
