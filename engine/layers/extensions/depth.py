"""DepthToSpace and SpaceToDepth: channels exchanged for rows and columns, on channels-last images."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.layer import Layer
from engine.registry import registered


class _Blocks(Layer):
    """What both have: the rows and columns of a block, and the order of its channels."""

    _config_attributes = ("block_size", "channels_first")

    def __init__(self, block_size: int, channels_first: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if block_size < 1:
            raise ValueError(f"Layer {self.name!r}: `block_size` must be at least 1. Received: {block_size}")
        self.block_size = int(block_size)
        self.channels_first = bool(channels_first)


@registered("beagle.layers")
class DepthToSpace(_Blocks):
    """Images (batch, rows, columns, block² · channels) become (batch, block · rows, block · columns, channels).

    Args:
        block_size: rows and columns of the block that each pixel becomes.
        channels_first: the channels of an image are one another's neighbours in blocks (ONNX's mode "CRD", PyTorch's
            `pixel_shuffle`), instead of the block's pixels ("DCR", TensorFlow's `depth_to_space`).
    """

    def call(self, inputs: Any) -> Any:
        block = self.block_size
        batch, rows, columns, depth = inputs.shape
        channels, rest = divmod(depth, block * block)
        if rest:
            raise ValueError(f"Layer {self.name!r}: {depth} channels are no multiple of {block * block}")
        parts = (channels, block, block) if self.channels_first else (block, block, channels)
        order = (0, 1, 4, 2, 5, 3) if self.channels_first else (0, 1, 3, 2, 4, 5)
        x = ops.transpose(ops.reshape(inputs, (batch, rows, columns, *parts)), order)
        return ops.reshape(x, (batch, rows * block, columns * block, channels))


@registered("beagle.layers")
class SpaceToDepth(_Blocks):
    """Images (batch, block · rows, block · columns, channels) become (batch, rows, columns, block² · channels).

    Args:
        block_size: rows and columns of the block that becomes one pixel.
        channels_first: a channel's pixels follow one another in the result ("CRD"), instead of a pixel's channels
            ("DCR", TensorFlow's `space_to_depth`).
    """

    def call(self, inputs: Any) -> Any:
        block = self.block_size
        batch, rows, columns, channels = inputs.shape
        if rows % block or columns % block:
            raise ValueError(f"Layer {self.name!r}: images of {rows} by {columns} have no whole blocks of {block}")
        x = ops.reshape(inputs, (batch, rows // block, block, columns // block, block, channels))
        x = ops.transpose(x, (0, 1, 3, 5, 2, 4) if self.channels_first else (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (batch, rows // block, columns // block, block * block * channels))
