"""Fused chains on oneDNN: a convolution, matrix product or normalisation with what follows it, in one primitive.

The head computes; the links after it become post-operations, applied while a result is still in registers. NaN does
not survive a fused clip or hard sigmoid, nor relu behind a normalisation (the hardware's maximum drops it);
everywhere else it does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from engine.kernels.onednn.attributes import Attributes, PostOperations
from engine.kernels.onednn.constants import Argument, BinaryAlgorithm, DataType, Query
from engine.kernels.onednn.convolution import convolution_weights, describe_convolution
from engine.kernels.onednn.elementwise import FOLLOWING_FUNCTIONS, FUNCTIONS, LOSING_NAN
from engine.kernels.onednn.executable import Description, OneDnnExecutable, Port
from engine.kernels.onednn.handles import DATA_TYPES, MemoryDescriptor
from engine.kernels.onednn.layouts import channels_last, declining, is_plain_float, row_major
from engine.kernels.onednn.linear import describe_matmul
from engine.kernels.onednn.normalization import describe_batch_normalization
from engine.kernels.onednn.transposed import describe_transposed_convolution
from engine.primitives.convolution import convolution, transposed_convolution
from engine.primitives.elementwise import add, maximum, minimum, multiply
from engine.primitives.fusion import Chain, Link, fused, results_along
from engine.primitives.linear import matmul
from engine.primitives.normalization import batch_normalization
from engine.primitives.primitive import Executable, Primitive, Spec, kernel

Shape = tuple[int, ...]
Describe = Callable[[Sequence[Spec], Spec, dict[str, Any], Attributes | None], Description | None]
Frame = Callable[[Shape], MemoryDescriptor]
"""The layout of an array that has the result's axes, some of them of length 1, as the head's primitive sees it."""


def _rows(shape: Shape) -> Shape:
    return math.prod(shape[:-1]), shape[-1]


def _matmul_frame(inputs: Sequence[Spec], options: dict[str, Any]) -> Frame:
    one_product = len(inputs[1].shape) == 2 and not options.get("transpose_a", False)
    return (lambda shape: row_major(_rows(shape))) if one_product else row_major


def _convolution_frame(inputs: Sequence[Spec], options: dict[str, Any]) -> Frame:
    return channels_last


def _normalization_frame(inputs: Sequence[Spec], options: dict[str, Any]) -> Frame:
    return lambda shape: channels_last((1, math.prod(shape[:-1]), 1, shape[-1]))


DESCRIPTIONS: dict[Primitive, tuple[Describe, Callable[[Sequence[Spec], dict[str, Any]], Frame]]] = {
    convolution: (describe_convolution, _convolution_frame),
    transposed_convolution: (describe_transposed_convolution, _convolution_frame),
    matmul: (describe_matmul, _matmul_frame),
    batch_normalization: (describe_batch_normalization, _normalization_frame),
}

_UNARY = {**FUNCTIONS, **FOLLOWING_FUNCTIONS}
_UNARY_LOSING_NAN = {**_UNARY, **LOSING_NAN}
_BINARY: dict[Primitive, BinaryAlgorithm] = {
    add: BinaryAlgorithm.ADD,
    multiply: BinaryAlgorithm.MULTIPLY,
    maximum: BinaryAlgorithm.MAXIMUM,
    minimum: BinaryAlgorithm.MINIMUM,
}


class Epilogue:
    """The links after a head as post-operations.

    Args:
        links, inputs, result: of the chain; the inputs' and the result's specs.
        frame: see `Frame`.
        scales: for inputs that are quantised what their numbers are to be multiplied with, else None.
        scaled: the head's own arguments with a scale, as `Attributes` takes them.
        keeps_nan: whether relu must; there is none in integers.

    Attributes:
        attributes: to create the head's primitive with.
        ports: the further arrays that it reads.
        accumulates: the input that it adds to in place, or None.
    """

    def __init__(
        self,
        links: Sequence[Link],
        inputs: Sequence[Spec],
        result: Spec,
        frame: Frame,
        scales: Sequence[float | None] = (),
        scaled: Sequence[tuple[Argument, int]] = (),
        keeps_nan: bool = True,
    ) -> None:
        self.ports: list[Port] = []
        self.accumulates: int | None = None
        self._frame = frame
        self._scales = scales
        self._operations = PostOperations()
        functions = _UNARY if keeps_nan else _UNARY_LOSING_NAN
        for link in links:
            if link.primitive in functions:
                functions[link.primitive](**dict(link.options)).append_to(self._operations)
            elif link.primitive is convolution:
                self._convolve(link, inputs)
            else:
                self._combine(link, inputs, result)
        self.attributes = Attributes(self._operations, scaled)

    def _combine(self, link: Link, inputs: Sequence[Spec], result: Spec) -> None:
        (position,) = (index for index in link.operands if index is not None)
        operand = inputs[position]
        # Adding to what lies in the result's memory is cheaper than reading a third array.
        as_large = operand.shape == result.shape and operand.dtype.itemsize == result.dtype.itemsize
        if link.primitive is add and as_large and not self._operations.count:
            scale = self._scales[position] if self._scales else None
            self._operations.sum(1.0 if scale is None else scale, DATA_TYPES[operand.dtype])
            self.accumulates = position
            return
        layout = self._frame((1,) * (len(result.shape) - len(operand.shape)) + operand.shape)
        self.ports.append(Port(self._operations.binary(_BINARY[link.primitive], layout), position, layout))

    def _convolve(self, link: Link, inputs: Sequence[Spec]) -> None:
        options = dict(link.options)
        (padding, _), *_ = options["padding"]
        kind = DataType.FLOAT32
        flag = self._operations.depthwise(kind, kind, kind, 3, options["strides"][0], padding)
        _, weights, *bias = link.operands
        assert weights is not None
        layout = convolution_weights(inputs[weights].shape, options["groups"])
        argument = flag | Argument.WEIGHTS
        self.ports.append(Port(argument, weights, layout, Query.ANY_ARGUMENT, argument))
        self.ports += [Port(flag | Argument.BIAS, index, row_major(inputs[index].shape)) for index in bias if index]


def _depthwise_follows(link: Link, inputs: Sequence[Spec], before: Spec) -> bool:
    """Whether a link is a depthwise convolution that oneDNN appends to one with a window of 1.

    Its window is 3 by 3, its padding before 0 or 1, and its result as long as the input divided by the stride.
    """
    # Without a bias of its own it reads memory that nobody gave it.
    if link.primitive is not convolution or link.operands[0] is not None or len(link.operands) != 3:
        return False
    if len(before.shape) != 4:
        return False
    options = dict(link.options)
    channels = before.shape[-1]
    weights = inputs[link.operands[1] or 0].shape
    stride = options["strides"][0]
    (first, _), (other, _) = options["padding"]
    plain = options["strides"] in ((1, 1), (2, 2)) and options["dilation"] == (1, 1)
    if not plain or weights != (3, 3, 1, channels) or options["groups"] != channels or first != other or first > 1:
        return False
    (result,) = convolution.infer([before, *(inputs[index] for index in link.operands if index is not None)], options)
    return result.shape[1:3] == tuple(-(-length // stride) for length in before.shape[1:3])


def is_followable(link: Link, inputs: Sequence[Spec], result: Spec) -> bool:
    """Whether a link can be a post-operation: of one number, or with one array that is whole or one per channel."""
    if link.primitive in _UNARY:
        return True
    if link.primitive not in _BINARY or link.operands.count(None) != 1:
        return False
    (position,) = (index for index in link.operands if index is not None)
    operand = inputs[position]
    size = math.prod(operand.shape)
    fits = operand.shape == result.shape or size == 1 or (size == operand.shape[-1] == result.shape[-1])
    return fits and is_plain_float(operand) and len(operand.shape) <= len(result.shape)


@kernel(fused, device="onednn")
@declining
def prepare_fused(inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]) -> Executable | None:
    """The chain's result."""
    (result,) = outputs
    assert result is not None
    chain: Chain = options["chain"]
    head = chain[0]
    count = len(head.operands)
    if head.primitive not in DESCRIPTIONS or head.operands != tuple(range(count)):
        return None
    if not all(is_plain_float(spec) for spec in (*inputs, result)):
        return None
    results = list(results_along(chain, inputs))
    for link, before, after in zip(chain[1:], results, results[1:], strict=False):
        fits = before.shape == after.shape and is_followable(link, inputs, after)
        if not fits and not (count == 3 and _depthwise_follows(link, inputs, before)):
            return None
    describe, frame_of = DESCRIPTIONS[head.primitive]
    settings = dict(head.options)
    keeps_nan = head.primitive is not batch_normalization  # which oneDNN follows by its own relu alone
    epilogue = Epilogue(chain[1:], inputs, result, frame_of(inputs, settings), keeps_nan=keeps_nan)
    description = describe(inputs[:count], results[0], settings, epilogue.attributes)
    if description is None:
        return None
    outputs_of = [port._replace(plain=channels_last(result.shape)) for port in description.outputs]
    return OneDnnExecutable(
        description.primitive,
        [*description.inputs, *epilogue.ports],
        description.outputs if results[0].shape == result.shape else outputs_of,
        inputs,
        accumulates=epilogue.accumulates,
    )
