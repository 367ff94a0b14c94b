"""A prepared oneDNN primitive: the engine's plain arrays on the outside, the layouts that oneDNN wants inside.

Around one primitive stand the reorders that bring its inputs into the wanted layouts and its outputs out of them.
Constant inputs are reordered once instead (a packing). All temporary memory lies in the caller's scratch array.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.kernels.onednn.constants import Argument, Query, Status
from engine.kernels.onednn.handles import (
    MemoryDescriptor,
    Primitive,
    PrimitiveDescriptor,
    address,
    destroy_memories,
    library,
    memory,
    reorder,
    stream,
)
from engine.kernels.onednn.library import ExecutionArgument, failure
from engine.primitives.primitive import Array, Spec
from engine.variable import aligned_empty

_ALIGNMENT = 64
_BYTES = np.dtype(np.uint8)


class Port(NamedTuple):
    """One argument of a primitive.

    Attributes:
        argument: which one it is to oneDNN, an `Argument` or several or-ed.
        position: its place among the inputs or the outputs.
        plain: how the engine's array lies in memory.
        query: the argument's layout in the primitive's description; None: `plain` itself is taken.
        number: which of several arguments that answer to one query, as a recurrent layer's weights.
    """

    argument: int
    position: int
    plain: MemoryDescriptor
    query: Query | None = None
    number: int = 0


class Description(NamedTuple):
    """A primitive's description with its arguments: what an executable is made of."""

    primitive: PrimitiveDescriptor
    inputs: Sequence[Port]
    outputs: Sequence[Port]


class Packing:
    """Brings a constant array into the layout that a primitive wants; equal packings give equal results."""

    def __init__(self, plain: MemoryDescriptor, wanted: MemoryDescriptor) -> None:
        self.plain = plain
        self.wanted = wanted

    def __call__(self, array: Array) -> Array:
        """The packed copy, as bytes."""
        source = np.ascontiguousarray(array)
        packed = aligned_empty((self.wanted.nbytes,), _BYTES)
        description = reorder(self.plain, self.wanted)
        pad = description.descriptor(Query.SCRATCHPAD)
        scratch = aligned_empty((pad.nbytes if pad else 0,), _BYTES)
        arguments = [
            (Argument.SOURCE, self.plain, address(source)),
            (Argument.RESULT, self.wanted, address(packed)),
        ]
        if pad is not None:
            arguments.append((Argument.SCRATCHPAD, pad, address(scratch)))
        memories: list[int] = []
        try:
            _execute(_step(Primitive(description), arguments, memories))
        finally:
            destroy_memories(memories)
        return packed

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Packing):
            return NotImplemented
        return self.plain == other.plain and self.wanted == other.wanted

    def __hash__(self) -> int:
        return hash((self.plain, self.wanted))


class _Side(NamedTuple):
    """A port as it is executed: through a reorder and a temporary at `offset`, or directly."""

    port: Port
    wanted: MemoryDescriptor
    reorder: Primitive | None
    reorder_pad: MemoryDescriptor | None
    offset: int


class OneDnnExecutable:
    """One primitive with the reorders around it; see `engine.primitives.primitive.Executable`.

    Args:
        description: what the primitive does.
        inputs, outputs: its arguments. Outputs that nobody wants are written to scratch memory.
        input_specs: inputs among them that are constant are packed where their layout differs.
        wanted: for each output index whether somebody wants it; default: all.
        inplace: pairs (output, input) that may share one buffer.
        accumulates: the input that the first output starts from, since the primitive adds to what is there. The two
            should share one buffer; where they do not, it is copied first.
        constants: arguments that are the primitive's own, such as scales: (argument, one-dimensional array).
    """

    def __init__(
        self,
        description: PrimitiveDescriptor,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        input_specs: Sequence[Spec],
        wanted: Sequence[bool] | None = None,
        inplace: Sequence[tuple[int, int]] = (),
        accumulates: int | None = None,
        constants: Sequence[tuple[int, Array]] = (),
    ) -> None:
        self.implementation = description.implementation
        self.inplace: Sequence[tuple[int, int]] = tuple(inplace) if accumulates is None else ((0, accumulates),)
        self.packings: dict[int, Callable[[Array], Any]] = {}
        self._description = description
        self._primitive = Primitive(description)
        self._pad = description.descriptor(Query.SCRATCHPAD)
        self._pads_end = self._pad.nbytes if self._pad else 0
        self._temporaries = 0
        self._inputs = [self._input(port, input_specs[port.position].constant) for port in inputs]
        self._outputs = [self._output(port, wanted is None or wanted[port.position]) for port in outputs]
        self._accumulates = accumulates
        self._constants = [
            (argument, MemoryDescriptor.strided(array.shape, [1], array.dtype), array) for argument, array in constants
        ]
        self._copy: tuple[Primitive, MemoryDescriptor] | None = None
        if accumulates is not None:
            plain = self._outputs[0].port.plain
            self._copy = Primitive(reorder(plain, plain)), plain
        # The scratchpads of the primitive and of the reorders share the start, as only one runs at a time.
        self._temporaries_start = _aligned(self._pads_end)
        self.scratch_bytes = self._temporaries_start + self._temporaries

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Array | None], scratch: Array | None) -> Callable[[], None]:
        """A function that runs the primitive on exactly these arrays.

        Raises:
            ValueError: an array is not contiguous.
        """
        if self.scratch_bytes and (scratch is None or scratch.nbytes < self.scratch_bytes):
            given = 0 if scratch is None else scratch.nbytes
            raise ValueError(f"Expected {self.scratch_bytes} bytes of scratch memory, received {given}.")
        base = 0 if scratch is None else address(scratch)
        before: list[Any] = []
        after: list[Any] = []
        arguments: list[tuple[int, MemoryDescriptor, int]] = []
        memories: list[int] = []
        if self._copy is not None:
            assert self._accumulates is not None
            first = outputs[0]
            assert first is not None
            start, target = address(inputs[self._accumulates]), address(first)
            if start != target:
                copy, plain = self._copy
                before.append(
                    _step(copy, [(Argument.SOURCE, plain, start), (Argument.RESULT, plain, target)], memories)
                )
        for side in self._inputs:
            place = address(inputs[side.port.position])
            if side.reorder is not None:
                inside = base + self._temporaries_start + side.offset
                before.append(self._reorder_step(side, side.port.plain, place, side.wanted, inside, base, memories))
                place = inside
            arguments.append((side.port.argument, side.wanted, place))
        for side in self._outputs:
            array = outputs[side.port.position]
            inside = base + self._temporaries_start + side.offset
            if array is None:
                place = inside
            elif side.reorder is None:
                place = address(array)
            else:
                place = inside
                step = self._reorder_step(side, side.wanted, inside, side.port.plain, address(array), base, memories)
                after.append(step)
            arguments.append((side.port.argument, side.wanted, place))
        for argument, layout, array in self._constants:
            arguments.append((argument, layout, address(array)))
        if self._pad is not None:
            arguments.append((Argument.SCRATCHPAD, self._pad, base))
        steps = [*before, _step(self._primitive, arguments, memories), *after]
        run = _runner(steps, (self, tuple(inputs), tuple(outputs), scratch))
        weakref.finalize(run, destroy_memories, memories).atexit = False
        return run

    # Preparation -------------------------------------------------------------------------------------------------

    def _layout(self, port: Port) -> MemoryDescriptor:
        found = None if port.query is None else self._description.descriptor(port.query, port.number)
        return port.plain if found is None or found == port.plain else found

    def _input(self, port: Port, constant: bool) -> _Side:
        wanted = self._layout(port)
        if wanted is port.plain:
            return _Side(port, wanted, None, None, 0)
        if constant:
            self.packings[port.position] = Packing(port.plain, wanted)
            return _Side(port, wanted, None, None, 0)
        return self._reordered(port, wanted, port.plain, wanted)

    def _output(self, port: Port, is_wanted: bool) -> _Side:
        layout = self._layout(port)
        if not is_wanted:
            return _Side(port, layout, None, None, self._reserve(layout))
        if layout is port.plain:
            return _Side(port, layout, None, None, 0)
        return self._reordered(port, layout, layout, port.plain)

    def _reordered(
        self, port: Port, wanted: MemoryDescriptor, source: MemoryDescriptor, target: MemoryDescriptor
    ) -> _Side:
        description = reorder(source, target)
        pad = description.descriptor(Query.SCRATCHPAD)
        self._pads_end = max(self._pads_end, pad.nbytes if pad else 0)
        return _Side(port, wanted, Primitive(description), pad, self._reserve(wanted))

    def _reserve(self, layout: MemoryDescriptor) -> int:
        offset = self._temporaries
        self._temporaries += _aligned(layout.nbytes)
        return offset

    @staticmethod
    def _reorder_step(
        side: _Side,
        source: MemoryDescriptor,
        source_place: int,
        target: MemoryDescriptor,
        target_place: int,
        base: int,
        memories: list[int],
    ) -> Any:
        assert side.reorder is not None
        arguments: list[tuple[int, MemoryDescriptor, int]] = [
            (Argument.SOURCE, source, source_place),
            (Argument.RESULT, target, target_place),
        ]
        if side.reorder_pad is not None:
            arguments.append((Argument.SCRATCHPAD, side.reorder_pad, base))
        return _step(side.reorder, arguments, memories)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _step(primitive: Primitive, arguments: Sequence[tuple[int, MemoryDescriptor, int]], memories: list[int]) -> Any:
    """What `_execute` takes; the memory objects made for it are appended to `memories`."""
    block = (ExecutionArgument * len(arguments))()
    for slot, (argument, descriptor, place) in zip(block, arguments, strict=True):
        handle = memory(descriptor, place)
        memories.append(handle)
        slot.argument, slot.memory = argument, handle
    return primitive, primitive.handle, len(arguments), block


def _execute(step: Any) -> None:
    _, handle, count, block = step
    status = library.dnnl_primitive_execute(handle, stream, count, block)
    if status != Status.SUCCESS:
        raise failure("dnnl_primitive_execute", status)


def _runner(steps: list[Any], owners: tuple[Any, ...]) -> Callable[[], None]:
    """A function that executes the steps in order and keeps `owners` alive."""
    execute, in_stream = library.dnnl_primitive_execute, stream
    if len(steps) == 1:
        _, only, length, arguments = steps[0]

        def run_one(_owners: Any = owners) -> None:
            if status := execute(only, in_stream, length, arguments):
                raise failure("dnnl_primitive_execute", status)

        # The primitive itself is owned by the executable among the owners.
        return run_one
    prepared = [(handle, count, block) for _, handle, count, block in steps]

    def run_all(_owners: Any = owners) -> None:
        for handle, count, block in prepared:
            if status := execute(handle, in_stream, count, block):
                raise failure("dnnl_primitive_execute", status)

    return run_all
