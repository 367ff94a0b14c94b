"""Prints as JSON which implementation oneDNN chooses for each test case: {"<primitive>: <case>": name or null}."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from engine.kernels.onednn.handles import library
from engine.primitives import activations as a
from engine.primitives import dispatch
from engine.primitives.activations import relu
from engine.primitives.convolution import (
    convolution,
    convolution_input_gradient,
    convolution_kernel_gradient,
    transposed_convolution,
)
from engine.primitives.elementwise import add, multiply, tanh, tanh_gradient
from engine.primitives.fusion import Link, fused
from engine.primitives.layer_normalization import layer_normalization, layer_normalization_gradient
from engine.primitives.linear import matmul
from engine.primitives.pooling import (
    average_pooling,
    average_pooling_gradient,
    max_pooling,
    max_pooling_gradient,
)
from engine.primitives.primitive import Primitive, Spec
from engine.primitives.recurrent import PAIRS
from engine.primitives.reductions import reduce_mean
from engine.primitives.resampling import resampling, resampling_gradient
from engine.primitives.shaping import concatenate, reduce_sum
from tests.engine.kernels.cases import CONVOLUTIONS, POOLINGS, RECURRENT

_FLOAT32 = np.dtype(np.float32)
FUSED = ("digits, first layer", "digits, second layer", "one by one", "depthwise")


def _chosen(primitive: Primitive, *shapes: Any, **options: Any) -> str | None:
    specs = [shape if isinstance(shape, Spec) else Spec(shape, _FLOAT32) for shape in shapes]
    executable = dispatch.prepare(primitive, specs, primitive.infer(specs, options), options)
    return None if executable is None else executable.implementation


def survey() -> dict[str, str | None]:
    """The implementation by primitive and case; None where the kernel declines."""
    found: dict[str, str | None] = {}
    for name, (x, w, options) in CONVOLUTIONS.items():
        y = convolution.infer([Spec(x, _FLOAT32), Spec(w, _FLOAT32)], options)[0].shape
        found[f"convolution: {name}"] = _chosen(convolution, x, w, w[-1:], **options)
        found[f"input gradient: {name}"] = _chosen(convolution_input_gradient, y, w, shape=x, **options)
        found[f"transposed: {name}"] = _chosen(transposed_convolution, y, w, x[-1:], spatial=x[1:-1], **options)
        found[f"kernel gradient: {name}"] = _chosen(convolution_kernel_gradient, x, y, kernel_shape=w, **options)
    for name, (x, options) in POOLINGS.items():
        y, indices = max_pooling.infer([Spec(x, _FLOAT32)], options)
        found[f"maximum: {name}"] = _chosen(max_pooling, x, **options)
        found[f"maximum gradient: {name}"] = _chosen(max_pooling_gradient, y, indices, shape=x, **options)
        found[f"average: {name}"] = _chosen(average_pooling, x, **options)
        found[f"average gradient: {name}"] = _chosen(average_pooling_gradient, y, shape=x, **options)
    for name in FUSED:
        x, w, options = CONVOLUTIONS[name]
        y = convolution.infer([Spec(x, _FLOAT32), Spec(w, _FLOAT32)], options)[0].shape
        head = Link(convolution, (0, 1, 2), tuple(sorted(options.items())))
        chain = (head, Link(add, (3, None)), Link(relu, (None,)))
        found[f"with residual and relu: {name}"] = _chosen(fused, x, w, w[-1:], y, chain=chain)
    for case, (name, shapes, options) in RECURRENT.items():
        forward, gradient = PAIRS[name]
        inputs = [Spec(shape, _FLOAT32) for shape in shapes]
        *results, workspace = forward.infer(inputs, options)
        executable = dispatch.prepare(forward, inputs, [*results, None], options)
        found[f"recurrent: {case}"] = None if executable is None else executable.implementation
        found[f"recurrent training: {case}"] = _chosen(forward, *inputs, **options)
        found[f"recurrent gradient: {case}"] = _chosen(gradient, *results, *inputs, *results, workspace, **options)
    found["product: dense"] = _chosen(matmul, (128, 1600), (1600, 10), (10,))
    found["product: batched"] = _chosen(matmul, (8, 64, 64), (8, 64, 64))
    large, rows = (256, 1024), {"epsilon": 1e-3}
    for target, options in (
        *((target, {}) for target in (tanh, a.sigmoid, a.silu, a.hard_silu)),
        (a.elu, {"alpha": 1.0}),
        (a.leaky_relu, {"negative_slope": 0.1}),
        (a.gelu, {"approximate": False}),
        (a.softmax, {}),
        (reduce_sum, {"axes": (1,)}),
    ):
        found[target.name] = _chosen(target, large, **options)
    for target, options in (
        *((target, {}) for target in (add, a.relu_gradient, tanh_gradient, a.sigmoid_gradient, a.silu_gradient)),
        (a.gelu_gradient, {"approximate": True}),
        (a.softmax_gradient, {}),
        (a.log_softmax_gradient, {}),
        (concatenate, {"axis": 1}),
    ):
        found[target.name] = _chosen(target, large, large, **options)
    found["product of channels"] = _chosen(multiply, (4, 32, 32, 64), (4, 1, 1, 64))
    found["mean over space"] = _chosen(reduce_mean, (8, 7, 7, 512), axes=(1, 2))
    found["layer normalisation"] = _chosen(layer_normalization, large, (1024,), (1024,), **rows)
    found["layer normalisation gradient"] = _chosen(
        layer_normalization_gradient, large, large, (256,), (256,), (1024,), **rows
    )
    found["resampling"] = _chosen(resampling, (4, 16, 16, 32), spatial=(32, 32), method="linear")
    found["resampling gradient"] = _chosen(resampling_gradient, (4, 32, 32, 32), spatial=(16, 16), method="nearest")
    return found


if __name__ == "__main__":
    import engine.kernels.onednn  # noqa: F401

    version = library.dnnl_version().contents
    isa = library.dnnl_get_effective_cpu_isa()
    print(json.dumps({"release": [version.major, version.minor], "isa": isa, "chosen": survey()}))
