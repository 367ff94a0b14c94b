"""Files as converters of 2018 wrote them: opset 7 and 8, IR 3, initializers listed as inputs, attributes of then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.data.onnx.make import ROWS, Inputs, normal

node = helper.make_node


def _written(
    file: Path,
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, NDArray[np.float32] | NDArray[np.int64]],
    shape: Sequence[int | str],
    opset: int,
) -> tuple[Inputs, str]:
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    inputs = [helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)]
    inputs += [helper.make_tensor_value_info(item.name, item.data_type, item.dims) for item in tensors]
    outputs = [helper.make_tensor_value_info("prob", TensorProto.FLOAT, [shape[0], 10])]
    graph = helper.make_graph(nodes, file.stem, inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 3
    onnx.save(model, file)
    channels, side = int(shape[1]), int(shape[2])
    return {"data": normal(8, ROWS, channels, side, side)}, f"onnx.helper {onnx.__version__}"


def old_caffe2(file: Path) -> tuple[Inputs, str]:
    """Caffe's kind: LRN, uneven padding, groups, Sum, spatial BatchNormalization, Dropout with a mask."""
    nodes = [
        node("Conv", ["data", "w1", "b1"], ["c1"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"]),
        node("LRN", ["r1"], ["n1"], size=5, alpha=1e-2, beta=0.75, bias=1.0),
        node("MaxPool", ["n1"], ["p1"], kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
        node("Conv", ["p1", "w2"], ["c2"], group=2, kernel_shape=[3, 3], auto_pad="SAME_UPPER"),
        node("BatchNormalization", ["c2", "scale", "shift", "mean", "variance"], ["n2"], epsilon=1e-3, spatial=1),
        node("Sum", ["n2", "p1", "p1"], ["s2"]),
        node("Clip", ["s2"], ["r2"], min=0.0, max=6.0),
        node("AveragePool", ["r2"], ["p2"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["p2", "shape"], ["flat"]),
        node("Gemm", ["flat", "w3", "b3"], ["fc"], transB=1),
        node("Dropout", ["fc"], ["dropped", "mask"], ratio=0.5),
        node("Softmax", ["dropped"], ["prob"]),
    ]
    weights = {
        "w1": normal(1, 8, 3, 3, 3) / 4,
        "b1": normal(2, 8) / 4,
        "w2": normal(3, 8, 4, 3, 3) / 4,
        "scale": 1 + normal(4, 8) / 4,
        "shift": normal(5, 8) / 4,
        "mean": normal(6, 8) / 4,
        "variance": 0.5 + np.abs(normal(7, 8)),
        "shape": np.array([-1, 8 * 4 * 4]),
        "w3": normal(9, 10, 128) / 8,
        "b3": normal(10, 10) / 4,
    }
    return _written(file, nodes, weights, ["batch", 3, 32, 32], 7)


def old_cntk(file: Path) -> tuple[Inputs, str]:
    """CNTK's kind: the bias added beside the convolution, the dense weights reshaped in the graph, a batch of one."""
    nodes = [
        node("Mul", ["data", "scale"], ["scaled"]),
        node("Conv", ["scaled", "w1"], ["c1"], kernel_shape=[5, 5], auto_pad="SAME_UPPER", dilations=[1, 1], group=1),
        node("Add", ["c1", "b1"], ["a1"]),
        node("Relu", ["a1"], ["r1"]),
        node("MaxPool", ["r1"], ["p1"], kernel_shape=[3, 3], strides=[3, 3], auto_pad="NOTSET", pads=[0, 0, 0, 0]),
        node("Reshape", ["p1", "flat"], ["f1"]),
        node("Reshape", ["w2", "matrix"], ["m2"]),
        node("MatMul", ["f1", "m2"], ["d2"]),
        node("Add", ["d2", "b2"], ["prob"]),
    ]
    weights = {
        "scale": np.array([1 / 4], np.float32),
        "w1": normal(1, 6, 1, 5, 5) / 4,
        "b1": normal(2, 6, 1, 1) / 4,
        "flat": np.array([1, 6 * 5 * 5]),
        "w2": normal(3, 6, 5, 5, 10) / 12,
        "matrix": np.array([150, 10]),
        "b2": normal(4, 1, 10) / 4,
    }
    return _written(file, nodes, weights, [1, 1, 15, 15], 8)
