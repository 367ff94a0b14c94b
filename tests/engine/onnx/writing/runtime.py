"""Models as ONNX files, checked, and run by ONNX Runtime beside the engine."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnxruntime

from engine import tree
from engine.onnx.writing import model_proto

Array = np.ndarray[Any, Any]


def written(model: Any, **options: Any) -> Any:
    """The ModelProto of a model, checked with its shapes and types inferred."""
    proto = model_proto(model, **options)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def run(proto: Any, x: Any) -> list[Array]:
    """What ONNX Runtime makes of a nest of arrays; dictionaries match by name where their keys are the inputs'."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    leaves = [x[name] for name in names] if isinstance(x, dict) and set(x) == set(names) else tree.flatten(x)
    return session.run(None, dict(zip(names, leaves, strict=True)))


def assert_same(model: Any, proto: Any, x: Any, tolerance: float = 1e-4) -> None:
    """ONNX Runtime's outputs are the model's, in shape and up to a tolerance (relative for what is larger than 1)."""
    expected = tree.flatten(model.predict(x, verbose=0))
    for found, wanted in zip(run(proto, x), expected, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(
            found.astype(np.float64), wanted.astype(np.float64), rtol=tolerance, atol=tolerance, equal_nan=True
        )


def operators(proto: Any) -> Counter[str]:
    """How often each operator is in the file."""
    return Counter(node.op_type for node in proto.graph.node)


def rows(count: int, *shapes: tuple[int, ...], seed: int = 0) -> Any:
    """Normal numbers for inputs of these shapes of a row: one array, or a list."""
    rng = np.random.default_rng(seed + count)
    arrays = [rng.normal(size=(count, *shape)).astype(np.float32) for shape in shapes]
    return arrays if len(arrays) > 1 else arrays[0]
