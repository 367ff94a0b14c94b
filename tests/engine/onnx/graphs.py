"""Small ONNX graphs for tests: written, imported, and run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from engine.layers import Permute
from engine.onnx.reading import translated

Array = NDArray[Any]


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Sequence[str],
    constants: Mapping[str, Array] | None = None,
    opset: int = 18,
    dtypes: Mapping[str, int] | None = None,
    domains: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """A model of some nodes; inputs are float32 unless `dtypes` says so, and other operator sets of version 1."""
    kinds = dtypes or {}
    made = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kinds.get(name, 1), shape) for name, shape in inputs.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    sets = {"": opset} | {item.domain: (domains or {}).get(item.domain, 1) for item in nodes if item.domain}
    return helper.make_model(made, opset_imports=[helper.make_opsetid(*pair) for pair in sets.items()], ir_version=8)


def imported(model: onnx.ModelProto) -> Any:
    """The model as the reader makes it."""
    found, _ = translated(model, None, False, None, True, {})
    return found


def run(model: Any, *arrays: Array) -> list[Array]:
    """The outputs of an imported model, by a plan."""
    results = model.predict(arrays[0] if len(arrays) == 1 else list(arrays), verbose=0)
    return [np.asarray(item) for item in (results if isinstance(results, (list, tuple)) else [results])]


def by_onnxruntime(model: onnx.ModelProto, *arrays: Array) -> list[Array]:
    """The outputs that ONNX Runtime gives."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # Output types are left to ONNX Runtime, which wants them inferred.
    session = onnxruntime.InferenceSession(onnx.shape_inference.infer_shapes(model).SerializeToString(), options)
    return session.run(None, {item.name: array for item, array in zip(session.get_inputs(), arrays, strict=True)})


def assert_as_onnxruntime(model: onnx.ModelProto, *arrays: Array, tolerance: float = 1e-5, found: Any = None) -> Any:
    """Imports a model, and compares its outputs with ONNX Runtime's: shapes, dtypes, values.

    Args:
        tolerance: the largest difference, as a part of the largest value.
        found: the model as it was imported already.
    """
    network = imported(model) if found is None else found
    expected = by_onnxruntime(model, *arrays)
    results = run(network, *arrays)
    assert len(results) == len(expected)
    for result, reference in zip(results, expected, strict=True):
        assert (result.shape, result.dtype) == (reference.shape, reference.dtype)
        largest = float(np.abs(reference.astype(np.float64)).max(initial=1e-3))
        np.testing.assert_allclose(result, reference, rtol=0, atol=tolerance * largest)
    return network


def transposes(model: Any) -> int:
    """How often an imported model moves axes."""
    return sum(
        isinstance(item, Permute) or type(item).__name__ in ("Transpose", "Swapaxes", "Moveaxis")
        for item in model.operations
    )
