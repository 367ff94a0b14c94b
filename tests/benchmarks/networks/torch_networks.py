"""The networks in PyTorch, layer by layer as Keras defines them, every module under its Keras layer's name.

Modules take and give images as [n, channels, height, width]; weights come in Keras's layout (see `load`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.benchmarks.networks.shapes import (
    CHARACTERS,
    EMBEDDING,
    MNIST_CLASSES,
    MOBILENET_V2_BLOCKS,
    RESNET50_STACKS,
    TRAINING_CLASSES,
    UNITS,
    VGG16_BLOCKS,
)

Weights = Mapping[str, NDArray[np.float32]]


def _normalization(channels: int, epsilon: float, momentum: float) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=epsilon, momentum=1 - momentum)


def _channels_last_flatten(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).flatten(1)


class ResNet50(nn.Module):
    """Version 1: the stride lies in a block's first 1x1 convolution, and convolutions have biases."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self._convolution("conv1", 3, 64, 7, 2, 3)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.average = nn.AdaptiveAvgPool2d(1)
        channels = 64
        self._blocks: list[tuple[str, bool]] = []
        for number, (filters, repeats, first_stride) in enumerate(RESNET50_STACKS, start=2):
            for block in range(1, repeats + 1):
                name = f"conv{number}_block{block}"
                stride = first_stride if block == 1 else 1
                if block == 1:
                    self._convolution(f"{name}_0", channels, 4 * filters, 1, stride)
                self._convolution(f"{name}_1", channels, filters, 1, stride)
                self._convolution(f"{name}_2", filters, filters, 3, 1, 1)
                self._convolution(f"{name}_3", filters, 4 * filters, 1)
                self._blocks.append((name, block == 1))
                channels = 4 * filters
        self.predictions = nn.Linear(channels, classes)

    def _convolution(self, name: str, channels: int, filters: int, size: int, stride: int = 1, pad: int = 0) -> None:
        self.add_module(f"{name}_conv", nn.Conv2d(channels, filters, size, stride, pad))
        self.add_module(f"{name}_bn", _normalization(filters, 1.001e-5, 0.99))

    def _apply_convolution(self, name: str, x: Tensor) -> Tensor:
        normalized: Tensor = self.get_submodule(f"{name}_bn")(self.get_submodule(f"{name}_conv")(x))
        return normalized

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        x = self.pool(torch.relu(self._apply_convolution("conv1", x)))
        for name, projects in self._blocks:
            shortcut = self._apply_convolution(f"{name}_0", x) if projects else x
            y = torch.relu(self._apply_convolution(f"{name}_1", x))
            y = torch.relu(self._apply_convolution(f"{name}_2", y))
            x = torch.relu(shortcut + self._apply_convolution(f"{name}_3", y))
        logits: Tensor = self.predictions(self.average(x).flatten(1))
        return logits


class MobileNetV2(nn.Module):
    """Convolutions with stride 2 pad only at the end, as Keras does for images of an even size."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d((0, 1, 0, 1))
        self.average = nn.AdaptiveAvgPool2d(1)
        self.Conv1 = nn.Conv2d(3, 32, 3, 2, bias=False)
        self.bn_Conv1 = _normalization(32, 1e-3, 0.999)
        channels = 32
        self._blocks: list[tuple[str, bool, bool, bool]] = []
        for number, (expansion, filters, stride) in enumerate(MOBILENET_V2_BLOCKS):
            name = f"block_{number}" if number else "expanded_conv"
            wide = channels * expansion
            if number:
                self.add_module(f"{name}_expand", nn.Conv2d(channels, wide, 1, bias=False))
                self.add_module(f"{name}_expand_BN", _normalization(wide, 1e-3, 0.999))
            pad = 1 if stride == 1 else 0
            self.add_module(f"{name}_depthwise", nn.Conv2d(wide, wide, 3, stride, pad, groups=wide, bias=False))
            self.add_module(f"{name}_depthwise_BN", _normalization(wide, 1e-3, 0.999))
            self.add_module(f"{name}_project", nn.Conv2d(wide, filters, 1, bias=False))
            self.add_module(f"{name}_project_BN", _normalization(filters, 1e-3, 0.999))
            self._blocks.append((name, number > 0, stride == 2, stride == 1 and channels == filters))
            channels = filters
        self.Conv_1 = nn.Conv2d(channels, 1280, 1, bias=False)
        self.Conv_1_bn = _normalization(1280, 1e-3, 0.999)
        self.predictions = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        x = nn.functional.relu6(self.bn_Conv1(self.Conv1(self.pad(x))))
        for name, expands, halves, adds in self._blocks:
            y = x
            if expands:
                expanded = self.get_submodule(f"{name}_expand")(y)
                y = nn.functional.relu6(self.get_submodule(f"{name}_expand_BN")(expanded))
            filtered = self.get_submodule(f"{name}_depthwise")(self.pad(y) if halves else y)
            y = nn.functional.relu6(self.get_submodule(f"{name}_depthwise_BN")(filtered))
            y = self.get_submodule(f"{name}_project_BN")(self.get_submodule(f"{name}_project")(y))
            x = x + y if adds else y
        x = nn.functional.relu6(self.Conv_1_bn(self.Conv_1(x)))
        logits: Tensor = self.predictions(self.average(x).flatten(1))
        return logits


class VGG16(nn.Module):
    """For images of 224 by 224."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        channels = 3
        for number, (filters, repeats) in enumerate(VGG16_BLOCKS, start=1):
            for convolution in range(1, repeats + 1):
                self.add_module(f"block{number}_conv{convolution}", nn.Conv2d(channels, filters, 3, padding=1))
                channels = filters
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(7 * 7 * 512, 4096)
        self.fc2 = nn.Linear(4096, 4096)
        self.predictions = nn.Linear(4096, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        for number, (_, repeats) in enumerate(VGG16_BLOCKS, start=1):
            for convolution in range(1, repeats + 1):
                x = torch.relu(self.get_submodule(f"block{number}_conv{convolution}")(x))
            x = self.pool(x)
        x = torch.relu(self.fc1(_channels_last_flatten(x)))
        logits: Tensor = self.predictions(torch.relu(self.fc2(x)))
        return logits


class MnistCnn(nn.Module):
    """Two convolutions and one dense layer."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        self.predictions = nn.Linear(1600, MNIST_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        logits: Tensor = self.predictions(self.dropout(_channels_last_flatten(x)))
        return logits


class Mlp(nn.Module):
    """Three dense layers."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 512)
        self.fc2 = nn.Linear(512, 512)
        self.dropout1 = nn.Dropout(dropout)
        self.dropout2 = nn.Dropout(dropout)
        self.predictions = nn.Linear(512, MNIST_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Flat images to logits."""
        x = self.dropout1(torch.relu(self.fc1(x)))
        x = self.dropout2(torch.relu(self.fc2(x)))
        logits: Tensor = self.predictions(x)
        return logits


class CharLstm(nn.Module):
    """A language model of characters: the last state tells the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(CHARACTERS, EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, UNITS, batch_first=True)
        # Keras's layer has one bias; this second one stays zero.
        nn.init.zeros_(self.lstm.bias_hh_l0).requires_grad_(False)
        self.predictions = nn.Linear(UNITS, CHARACTERS)

    def forward(self, x: Tensor) -> Tensor:
        """Character numbers [n, steps] to the next one's logits."""
        sequences, _ = self.lstm(self.embedding(x))
        logits: Tensor = self.predictions(sequences[:, -1])
        return logits


APPLICATIONS: Mapping[str, Callable[[], nn.Module]] = {"ResNet50": ResNet50, "MobileNetV2": MobileNetV2, "VGG16": VGG16}


def trained(name: str, dropout: float) -> nn.Module:
    """One of the networks whose training is measured."""
    if name == "resnet50":
        return ResNet50(TRAINING_CLASSES)
    if name == "char_lstm":
        return CharLstm()
    return {"mnist_cnn": MnistCnn, "mlp": Mlp}[name](dropout)


def load(network: nn.Module, weights: Weights) -> nn.Module:
    """Fill a network from arrays by `layer/variable`, in Keras's layout; returns it.

    Raises:
        KeyError: weights are missing, or some are for no layer.
    """
    left = dict(weights)
    with torch.no_grad():
        for name, module in network.named_children():
            if not list(module.parameters()):
                continue
            for variable, parameter in _variables(name, module).items():
                array = left.pop(f"{name}/{variable}")
                parameter.copy_(torch.from_numpy(_arranged(module, variable, array)))
    if left:
        raise KeyError(f"weights of no layer of {type(network).__name__}: {', '.join(left)}")
    return network


def _variables(name: str, module: nn.Module) -> dict[str, Tensor]:
    """A module's tensors by the names of Keras's variables."""
    if isinstance(module, nn.BatchNorm2d):
        assert module.running_mean is not None
        assert module.running_var is not None
        return {
            "gamma": module.weight,
            "beta": module.bias,
            "moving_mean": module.running_mean,
            "moving_variance": module.running_var,
        }
    if isinstance(module, nn.Embedding):
        return {"embeddings": module.weight}
    if isinstance(module, nn.LSTM):
        return {
            "kernel": module.weight_ih_l0,
            "recurrent_kernel": module.weight_hh_l0,
            "bias": module.bias_ih_l0,
        }
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        return {"kernel": module.weight} if module.bias is None else {"kernel": module.weight, "bias": module.bias}
    raise TypeError(f"no way to fill {name}, a {type(module).__name__}")


def _arranged(module: nn.Module, variable: str, array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keras's array in PyTorch's order of axes."""
    if isinstance(module, nn.Conv2d):
        if variable == "kernel":
            # [height, width, in, out]; of a depthwise convolution [height, width, channels, 1].
            array = array.transpose((2, 3, 0, 1) if module.groups > 1 else (3, 2, 0, 1))
    elif variable in ("kernel", "recurrent_kernel"):
        array = array.T
    return np.ascontiguousarray(array)
