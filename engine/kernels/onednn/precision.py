"""Reduced precision on oneDNN: conversions to and from int8, uint8 and bfloat16, and chains computed in them.

Quantised chains accumulate in int32; scales, bias, residual and activation are applied in float32 before the result
is rounded, half to even, and saturated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.dtypes import BFLOAT16
from engine.kernels.onednn.attributes import Attributes
from engine.kernels.onednn.constants import Argument, BinaryAlgorithm
from engine.kernels.onednn.executable import OneDnnExecutable, Port
from engine.kernels.onednn.fusion import DESCRIPTIONS, Epilogue, is_followable
from engine.kernels.onednn.handles import PrimitiveDescriptor, reorder
from engine.kernels.onednn.instructions import has_bfloat16, has_int8
from engine.kernels.onednn.layouts import EIGHT_BITS, FLOAT32, declining, is_plain_float, row_major
from engine.primitives.casting import cast
from engine.primitives.convolution import convolution
from engine.primitives.elementwise import add
from engine.primitives.fusion import Chain, Link
from engine.primitives.linear import matmul
from engine.primitives.precision import dequantize, quantize, reduced
from engine.primitives.primitive import Array, Executable, Spec, kernel

_SMALLEST = 1 << 13  # below this many elements NumPy converts faster than oneDNN's threads start


def _one(value: float) -> Array:
    return np.array([value], np.float32)


def _conversion(source: Spec, result: Spec, scale: float | None = None) -> Executable | None:
    """A copy to another data type, of the source times `scale`."""
    size = math.prod(source.shape)
    if not size:
        return None
    before, after = row_major((size,), source.dtype), row_major((size,), result.dtype)
    attributes = Attributes(scales=[] if scale is None else [(Argument.SOURCE, 0)])
    constants = [] if scale is None else [(Argument.SCALES | Argument.SOURCE, _one(scale))]
    description = reorder(before, after, attributes)
    ports = [Port(Argument.SOURCE, 0, before)], [Port(Argument.RESULT, 0, after)]
    return OneDnnExecutable(description, *ports, [source], constants=constants)


@kernel(quantize, device="onednn")
@declining
def prepare_quantize(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """Integers from float32: a division whose result is rounded, ten times as fast as a copy with a scale."""
    (x,), (result,) = inputs, outputs
    assert result is not None
    size = math.prod(x.shape)
    if not is_plain_float(x) or not size:
        return None
    source, number, integers = row_major((size,)), row_major((1,)), row_major((size,), result.dtype)
    description = PrimitiveDescriptor("binary", BinaryAlgorithm.DIVIDE, source, number, integers)
    ports = [Port(Argument.SOURCE, 0, source)], [Port(Argument.RESULT, 0, integers)]
    scale = Argument.SECOND_SOURCE, _one(options["scale"])
    return OneDnnExecutable(description, *ports, [x], constants=[scale])


@kernel(dequantize, device="onednn")
@declining
def prepare_dequantize(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """float32 from integers."""
    (x,), (result,) = inputs, outputs
    assert result is not None
    return _conversion(x, result, options["scale"]) if x.dtype in EIGHT_BITS else None


@kernel(cast, device="onednn")
@declining
def prepare_cast(inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]) -> Executable | None:
    """Between float32 and bfloat16."""
    (x,), (result,) = inputs, outputs
    assert result is not None
    is_large = math.prod(x.shape) >= _SMALLEST
    return _conversion(x, result) if is_large and {x.dtype, result.dtype} == {FLOAT32, BFLOAT16} else None


@kernel(reduced, device="onednn")
@declining
def prepare_reduced(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """The chain's result, quantised or in a float type."""
    (result,) = outputs
    assert result is not None
    chain: Chain = options["chain"]
    head, *links = chain
    scales, scale = options["scales"], options["scale"]
    count = len(head.operands)
    if head.primitive not in (convolution, matmul) or head.operands != tuple(range(count)):
        return None
    if not (has_bfloat16() if inputs[0].dtype == BFLOAT16 else has_int8()):
        return None
    if any(0 in spec.shape for spec in (*inputs, result)) or not all(is_plain_float(spec) for spec in inputs[2:count]):
        return None
    others = links[1:] if links and _is_residual(links[0], inputs, result) else links
    if not all(is_followable(link, inputs, result) for link in others):
        return None
    describe, frame_of = DESCRIPTIONS[head.primitive]
    settings = dict(head.options)
    scaled: list[tuple[Argument, int]] = []
    constants: list[tuple[int, Array]] = []
    further: list[Port] = []
    if scales[0] is not None:
        scaled.append((Argument.SOURCE, 0))
        constants.append((Argument.SCALES | Argument.SOURCE, _one(scales[0])))
    if len(inputs) > len(scales):
        channels = inputs[-1]
        scaled.append((Argument.WEIGHTS, _channel_mask(head, len(result.shape))))
        further.append(Port(Argument.SCALES | Argument.WEIGHTS, len(inputs) - 1, row_major(channels.shape)))
    if scale is not None:
        scaled.append((Argument.RESULT, 0))
        constants.append((Argument.SCALES | Argument.RESULT, _one(scale)))
    epilogue = Epilogue(links, inputs, result, frame_of(inputs, settings), scales, scaled, keeps_nan=scales[0] is None)
    description = describe(inputs[:count], result, settings, epilogue.attributes)
    if description is None:
        return None
    return OneDnnExecutable(
        description.primitive,
        [*description.inputs, *epilogue.ports, *further],
        description.outputs,
        inputs,
        accumulates=epilogue.accumulates,
        constants=constants,
    )


def _is_residual(link: Link, inputs: Sequence[Spec], result: Spec) -> bool:
    """Whether a link adds an array that may lie where the result will: as many bytes, of the same kind."""
    positions = [index for index in link.operands if index is not None]
    if link.primitive is not add or len(positions) != 1:
        return False
    operand = inputs[positions[0]]
    both = {operand.dtype, result.dtype}
    return operand.shape == result.shape and (len(both) == 1 or both == set(EIGHT_BITS))


def _channel_mask(head: Link, rank: int) -> int:
    """The axes of the weights, as oneDNN counts them, along which their scales differ."""
    if head.primitive is matmul:
        return 1 << (rank - 1)
    return 0b11 if dict(head.options).get("groups", 1) > 1 else 0b1
