"""Narrow networks in PyTorch, built as torchvision, timm and PyTorch's own examples build theirs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 5
SIDE = 32
WORDS, STEPS = 40, 10


def convolution(channels: int, filters: int, size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution and its normalisation."""
    layer = nn.Conv2d(channels, filters, size, stride, size // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(filters)]


class Residual(nn.Module):
    """ResNet's block, with a projection where the size changes."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(channels, filters, 3, stride), nn.ReLU(inplace=True), *convolution(filters, filters, 3)
        )
        self.shortcut = nn.Sequential(*(convolution(channels, filters, 1, stride) if stride > 1 else []))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


def resnet() -> nn.Module:
    """Stem, two blocks, pooled."""
    return nn.Sequential(
        *convolution(3, 8, 7, 2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        Residual(8, 8, 1),
        Residual(8, 12, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(1),
        nn.Linear(12, CLASSES),
    )


class Excitation(nn.Module):
    """Channels scaled by what the whole picture has, as in MobileNetV3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze, self.expand = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = functional.relu(self.squeeze(functional.adaptive_avg_pool2d(x, 1)))
        return x * functional.hardsigmoid(self.expand(scale))


class InvertedResidual(nn.Module):
    """Widened, filtered by channel, scaled, narrowed."""

    def __init__(self, channels: int, wide: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(channels, wide, 1),
            activation(),
            *convolution(wide, wide, 5, groups=wide),
            activation(),
            Excitation(wide),
            *convolution(wide, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def mobilenet() -> nn.Module:
    """Inverted residuals with relu6 and hard swish."""
    return nn.Sequential(
        *convolution(3, 8, 3, 2),
        nn.Hardswish(),
        InvertedResidual(8, 16, nn.ReLU6),
        InvertedResidual(8, 16, nn.Hardswish),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(8, CLASSES),
        nn.Softmax(1),
    )


class DenseNet(nn.Module):
    """Each layer sees all before it; the last maps are flattened by `view`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, 2, 1)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 4, 3, padding=1, bias=False))
            for width in (6, 10, 14)
        )
        self.out = nn.Linear(18 * 16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        x = functional.avg_pool2d(x, 4, 4)
        return self.out(x.view(x.size(0), -1))


class Shuffle(nn.Module):
    """Half of the channels are computed, then the halves interleaved, as in ShuffleNetV2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            *convolution(half, half, 1),
            nn.ReLU(),
            *convolution(half, half, 3, groups=half),
            *convolution(half, half, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, taken = x.chunk(2, 1)
        x = torch.cat([kept, self.branch(taken)], 1)
        batch, channels, rows, columns = x.size()
        x = x.view(batch, 2, channels // 2, rows, columns).transpose(1, 2).contiguous()
        return x.view(batch, channels, rows, columns)


def shufflenet() -> nn.Module:
    """Two shuffles, and a mean over rows and columns."""

    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean([2, 3])

    stem = [*convolution(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, Shuffle(8), Shuffle(8), Mean(), nn.Linear(8, CLASSES))


class VisionTransformer(nn.Module):
    """Patches, a class token, positions, a block of attention; classified by the token."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, 17, width) * 0.2)
        self.before, self.after = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.dense = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))
        self.out = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        y = self.before(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        x = x + self.dense(self.after(x))
        return self.out(x[:, 0])


class Recurrent(nn.Module):
    """Words, a recurrent network, and a softmax of its last states."""

    def __init__(self, kind: str, is_bidirectional: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8)
        self.network = getattr(nn, kind)(8, 6, batch_first=True, bidirectional=is_bidirectional)
        self.out = nn.Linear(12 if is_bidirectional else 6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        outputs, states = self.network(self.words(x))
        last = torch.cat([states[0][-2], states[0][-1]], 1) if self.network.bidirectional else outputs[:, -1]
        return functional.softmax(self.out(last), dim=-1)


class TextCNN(nn.Module):
    """Windows of words of three widths, the largest answer of each filter."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 8)
        self.windows = nn.ModuleList(nn.Conv1d(8, 6, width) for width in (2, 3, 4))
        self.out = nn.Linear(18, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        words = self.words(x).transpose(1, 2)
        found = [functional.relu(window(words)).max(dim=2)[0] for window in self.windows]
        return functional.log_softmax(self.out(torch.cat(found, 1)), dim=1)


def perceptron() -> nn.Module:
    """A classifier of tables."""
    return nn.Sequential(
        nn.Linear(7, 12),
        nn.BatchNorm1d(12),
        nn.SiLU(),
        nn.Dropout(0.1),
        nn.Linear(12, 12),
        nn.LayerNorm(12),
        nn.GELU(),
        nn.Linear(12, CLASSES),
    )


def settled(network: nn.Module, inputs: Any, seed: int = 3) -> nn.Module:
    """The network for inference, each batch normalisation near its inputs' statistics."""
    generator = torch.Generator().manual_seed(seed)
    normalizations = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    for layer in normalizations:
        layer.momentum = 1.0
        nn.init.uniform_(layer.weight, 0.5, 1.5, generator=generator)
        nn.init.normal_(layer.bias, 0.0, 0.2, generator=generator)
    with torch.no_grad():
        network.train()(inputs)
    return network.eval()
