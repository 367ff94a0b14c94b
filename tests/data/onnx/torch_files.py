"""The files that PyTorch's two exporters write: by tracing (TorchScript), and by `torch.export` (dynamo)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from tests.data.onnx import torch_networks as networks
from tests.data.onnx.make import ROWS, Inputs, normal

BATCH = "batch"
Made = tuple[Inputs, str]


def pictures(seed: int = 1, rows: int = ROWS) -> torch.Tensor:
    """Random pictures, channels first."""
    return torch.from_numpy(normal(seed, rows, 3, networks.SIDE, networks.SIDE))


def sentences() -> torch.Tensor:
    """Random words."""
    return torch.from_numpy(np.random.default_rng(2).integers(1, networks.WORDS, (ROWS, networks.STEPS)))


def traced(file: Path, build: Callable[[], nn.Module], inputs: torch.Tensor, opset: int, **options: Any) -> Made:
    """Export by tracing, with a free batch."""
    torch.manual_seed(0)
    network = networks.settled(build(), inputs)
    axes = {"input": {0: BATCH}, "output": {0: BATCH}}
    names: dict[str, Any] = {"input_names": ["input"], "output_names": ["output"], "dynamic_axes": axes}
    torch.onnx.export(network, (inputs[:1],), file, opset_version=opset, dynamo=False, **(names | options))
    return {"input": inputs.numpy()}, f"torch {torch.__version__}, dynamo=False"


def captured(file: Path, build: Callable[[], nn.Module], inputs: torch.Tensor, opset: int) -> Made:
    """Export by `torch.export`, with a free batch."""
    torch.manual_seed(0)
    network = networks.settled(build(), inputs)
    torch.onnx.export(
        network,
        (inputs[:2],),
        file,
        input_names=["input"],
        output_names=["output"],
        opset_version=opset,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim(BATCH)},),
        external_data=False,
    )
    written = onnx.load(file)
    for node in written.graph.node:  # where in PyTorch each node was made: most of the file, and nothing to test
        node.ClearField("metadata_props")
    onnx.save(written, file)
    return {"input": inputs.numpy()}, f"torch {torch.__version__}, dynamo=True"


def resnet(file: Path) -> Made:
    """Opset 13, batch normalisation folded by the exporter."""
    return traced(file, networks.resnet, pictures(), 13)


def resnet_training(file: Path) -> Made:
    """Batch normalisation kept, constants not folded."""
    preserve = torch.onnx.TrainingMode.PRESERVE
    return traced(file, networks.resnet, pictures(), 11, training=preserve, do_constant_folding=False)


def mobilenet(file: Path) -> Made:
    """Opset 17: HardSwish and HardSigmoid are operators."""
    return traced(file, networks.mobilenet, pictures(), 17)


def mobilenet_dynamo(file: Path) -> Made:
    """Batch normalisation is folded, names and shape arithmetic are the newer exporter's."""
    return captured(file, networks.mobilenet, pictures(), 18)


def mobilenet_half(file: Path) -> Made:
    """The weights, inputs and outputs in float16."""
    inputs = pictures()
    return traced(file, lambda: networks.settled(networks.mobilenet(), inputs).half(), inputs.half(), 13)


def densenet_fixed_batch(file: Path) -> Made:
    """Opset 11; the batch of one that was traced is part of the file, also where maps are flattened."""
    return traced(file, networks.DenseNet, pictures(), 11, dynamic_axes=None)


def shufflenet(file: Path) -> Made:
    """Opset 9, in which Shape, Gather and Concat compute the shape for Reshape."""
    return traced(file, networks.shufflenet, pictures(), 9)


def vision_transformer(file: Path) -> Made:
    """Opset 17: LayerNormalization is an operator."""
    return traced(file, networks.VisionTransformer, pictures(), 17)


def vision_transformer_dynamo(file: Path) -> Made:
    """The same by the newer exporter."""
    return captured(file, networks.VisionTransformer, pictures(), 20)


def lstm(file: Path) -> Made:
    """Both directions; the states of either are joined."""
    return traced(file, lambda: networks.Recurrent("LSTM", True), sentences(), 14)


def gru(file: Path) -> Made:
    """One direction, the last step."""
    return traced(file, lambda: networks.Recurrent("GRU", False), sentences(), 9)


def text_cnn(file: Path) -> Made:
    """One-dimensional convolutions."""
    return traced(file, networks.TextCNN, sentences(), 13)


def perceptron(file: Path) -> Made:
    """A table; opset 13 writes LayerNorm and GELU in parts."""
    return traced(file, networks.perceptron, torch.from_numpy(normal(4, ROWS, 7)), 13)


def external(file: Path) -> Made:
    """The weights in a file beside it."""
    made = traced(file, networks.resnet, pictures(), 13)
    data = file.with_suffix(".weights")
    data.unlink(missing_ok=True)
    onnx.save(onnx.load(file), file, save_as_external_data=True, location=data.name, size_threshold=128)
    data.chmod(0o644)
    return made
