"""Prints as JSON which implementation oneDNN chooses for each test case: {"<primitive>: <case>": name or null}."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from engine.kernels.onednn.handles import library
from engine.primitives.convolution import convolution, convolution_input_gradient, convolution_kernel_gradient
from engine.primitives.linear import matmul
from engine.primitives.pooling import (
    average_pooling,
    average_pooling_gradient,
    max_pooling,
    max_pooling_gradient,
)
from engine.primitives.primitive import Primitive, Spec
from tests.engine.kernels.cases import CONVOLUTIONS, POOLINGS

_FLOAT32 = np.dtype(np.float32)


def _chosen(primitive: Primitive, *shapes: Any, **options: Any) -> str | None:
    specs = [shape if isinstance(shape, Spec) else Spec(shape, _FLOAT32) for shape in shapes]
    executable = primitive.kernels["onednn"](specs, primitive.infer(specs, options), options)
    return None if executable is None else executable.implementation


def survey() -> dict[str, str | None]:
    """The implementation by primitive and case; None where the kernel declines."""
    found: dict[str, str | None] = {}
    for name, (x, w, options) in CONVOLUTIONS.items():
        y = convolution.infer([Spec(x, _FLOAT32), Spec(w, _FLOAT32)], options)[0].shape
        found[f"convolution: {name}"] = _chosen(convolution, x, w, w[-1:], **options)
        found[f"input gradient: {name}"] = _chosen(convolution_input_gradient, y, w, shape=x, **options)
        found[f"kernel gradient: {name}"] = _chosen(convolution_kernel_gradient, x, y, kernel_shape=w, **options)
    for name, (x, options) in POOLINGS.items():
        y, indices = max_pooling.infer([Spec(x, _FLOAT32)], options)
        found[f"maximum: {name}"] = _chosen(max_pooling, x, **options)
        found[f"maximum gradient: {name}"] = _chosen(max_pooling_gradient, y, indices, shape=x, **options)
        found[f"average: {name}"] = _chosen(average_pooling, x, **options)
        found[f"average gradient: {name}"] = _chosen(average_pooling_gradient, y, shape=x, **options)
    found["product: dense"] = _chosen(matmul, (128, 1600), (1600, 10), (10,))
    found["product: batched"] = _chosen(matmul, (8, 64, 64), (8, 64, 64))
    return found


if __name__ == "__main__":
    import engine.kernels.onednn  # noqa: F401

    version = library.dnnl_version().contents
    isa = library.dnnl_get_effective_cpu_isa()
    print(json.dumps({"release": [version.major, version.minor], "isa": isa, "chosen": survey()}))
