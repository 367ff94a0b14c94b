"""LSTM, GRU and the simple recurrent network on oneDNN, forwards and backwards through whole sequences.

Keras's order of gates and memory is oneDNN's own. For training release 3.2 has one implementation, which it calls
"ref": fast matrix products and compiled gates all the same. Unlike the reference, relu turns NaN into 0.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from engine.kernels.onednn.constants import (
    OVERWRITE_WEIGHTS_GRADIENT,
    Argument,
    Direction,
    Elementwise,
    Propagation,
    Query,
)
from engine.kernels.onednn.executable import OneDnnExecutable, Port
from engine.kernels.onednn.handles import MemoryDescriptor, PrimitiveDescriptor
from engine.kernels.onednn.layouts import declining, is_plain_float, permuted, row_major
from engine.kernels.onednn.library import OneDnnError
from engine.primitives.primitive import Array, Executable, Primitive, Spec, kernel
from engine.primitives.recurrent import (
    PAIRS,
    WORKSPACE_START,
    WRITTEN_BY_ONEDNN,
    lstm,
    simple_rnn,
    workspace_sizes,
)

_SOURCES = (Argument.SOURCE, Argument.SECOND_SOURCE, Argument.THIRD_SOURCE)
_RESULTS = (Argument.RESULT, Argument.SECOND_RESULT, Argument.THIRD_RESULT)
_SOURCE_GRADIENTS = (Argument.SOURCE_GRADIENT, Argument.SECOND_SOURCE_GRADIENT, Argument.THIRD_SOURCE_GRADIENT)
_RESULT_GRADIENTS = (Argument.RESULT_GRADIENT, Argument.SECOND_RESULT_GRADIENT, Argument.THIRD_RESULT_GRADIENT)


class _Network(NamedTuple):
    """A recurrent network over sequences as oneDNN sees it.

    Attributes:
        name: in the names of the functions.
        held: how many states.
        before, after: what the functions take besides arrays: the activation, and its two numbers.
        x, y, state: inputs, outputs and one state.
        weights: the kernel and the recurrent kernel as the engine has them.
        preferred: the same in whatever layout is fastest.
        bias: all blocks.
    """

    name: str
    held: int
    before: tuple[Any, ...]
    after: tuple[Any, ...]
    x: MemoryDescriptor
    y: MemoryDescriptor
    state: MemoryDescriptor
    weights: tuple[MemoryDescriptor, MemoryDescriptor]
    preferred: tuple[MemoryDescriptor, MemoryDescriptor]
    bias: MemoryDescriptor

    @classmethod
    def of(cls, name: str, x: Sequence[int], units: int, options: dict[str, Any]) -> _Network:
        batch, time, features = x
        direction = Direction.BACKWARDS if options.get("backwards") else Direction.FORWARDS
        before: tuple[Any, ...] = (direction,)
        after: tuple[Any, ...] = ()
        biases = gates = 3
        if name == lstm.name:
            biases = gates = 4
        elif name == simple_rnn.name:
            biases = gates = 1
            relu = options.get("activation") == "relu"
            name, before, after = "vanilla_rnn", (Elementwise.RELU if relu else Elementwise.TANH, direction), (0.0, 0.0)
        elif options.get("reset_after", True):
            name, biases = "lbr_gru", 4
        lengths = (1, 1, features, gates, units), (1, 1, units, gates, units)
        return cls(
            name,
            2 if name == lstm.name else 1,
            before,
            after,
            permuted((batch, time, features), (1, 0, 2)),
            permuted((batch, time, units), (1, 0, 2)),
            row_major((1, 1, batch, units)),
            (row_major(lengths[0]), row_major(lengths[1])),
            (MemoryDescriptor.any_layout(lengths[0]), MemoryDescriptor.any_layout(lengths[1])),
            row_major((1, 1, biases, units)),
        )

    def _arrays(self) -> tuple[MemoryDescriptor | None, ...]:
        states = (self.state,) * self.held
        unused = (None, None) if self.name == lstm.name else ()  # peepholes and a projection
        return (self.x, *states, *self.preferred, *unused, self.bias, self.y, *states)

    def forward(self, propagation: Propagation) -> PrimitiveDescriptor:
        return PrimitiveDescriptor(f"{self.name}_forward", propagation, *self.before, *self._arrays(), 0, *self.after)

    def backward(self, hint: PrimitiveDescriptor) -> PrimitiveDescriptor:
        arrays = self._arrays()
        flags = OVERWRITE_WEIGHTS_GRADIENT
        return PrimitiveDescriptor(
            f"{self.name}_backward", Propagation.BACKWARD, *self.before, *arrays, *arrays, flags, *self.after, hint
        )

    def inputs(self, first: int = 0) -> list[Port]:
        """x, states, kernel, recurrent kernel and bias, from position `first` on."""
        place = first + 1 + self.held
        return [
            *self._sequence(_SOURCES, first, self.x),
            Port(Argument.WEIGHTS, place, self.weights[0], Query.WEIGHTS, 0),
            Port(Argument.SECOND_WEIGHTS, place + 1, self.weights[1], Query.WEIGHTS, 1),
            Port(Argument.BIAS, place + 2, self.bias),
        ]

    def results(self, arguments: Sequence[Argument] = _RESULTS, first: int = 0) -> list[Port]:
        """y and the last states, from position `first` on."""
        return self._sequence(arguments, first, self.y)

    def input_gradients(self) -> list[Port]:
        """By x, states, kernel, recurrent kernel and bias."""
        place = 1 + self.held
        return [
            *self._sequence(_SOURCE_GRADIENTS, 0, self.x),
            Port(Argument.WEIGHTS_GRADIENT, place, self.weights[0], Query.WEIGHTS_GRADIENT, 0),
            Port(Argument.SECOND_WEIGHTS_GRADIENT, place + 1, self.weights[1], Query.WEIGHTS_GRADIENT, 1),
            Port(Argument.BIAS_GRADIENT, place + 2, self.bias),
        ]

    def _sequence(self, arguments: Sequence[Argument], first: int, sequence: MemoryDescriptor) -> list[Port]:
        layouts = (sequence, *(self.state,) * self.held)
        return [
            Port(argument, first + i, layout)
            for i, (argument, layout) in enumerate(zip(arguments, layouts, strict=False))
        ]


# Workspaces ----------------------------------------------------------------------------------------------------------


def _workspace_size(name: str, x: Spec, units: int, options: dict[str, Any]) -> int:
    """The bytes that a forward pass for training leaves; 0 where there is no kernel."""
    if not is_plain_float(x) or units == 0:
        return 0
    return _queried_size(name, x.shape, units, tuple(sorted(options.items())))


@functools.lru_cache(maxsize=256)
def _queried_size(name: str, x: tuple[int, ...], units: int, options: tuple[tuple[str, Any], ...]) -> int:
    try:
        layout = _Network.of(name, x, units, dict(options)).forward(Propagation.TRAINING).descriptor(Query.WORKSPACE)
    except OneDnnError:
        return 0
    return layout.nbytes if layout is not None else 0


workspace_sizes["onednn"] = _workspace_size


class _Recurrent:
    """A primitive that may leave a workspace, or read one; see `engine.primitives.primitive.Executable`.

    Args:
        inner: the primitive, to which the workspace is a plain array like others.
        place: the workspace's position among the outputs (`writes`) or the inputs; None: there is none.
    """

    def __init__(self, inner: OneDnnExecutable, place: int | None = None, writes: bool = False) -> None:
        self._inner = inner
        self._place = place
        self._writes = writes
        name = inner.implementation
        self.implementation = f"gemm:{name}" if name.startswith("ref") else name
        self.scratch_bytes = inner.scratch_bytes
        self.packings = inner.packings
        self.inplace: Sequence[tuple[int, int]] = ()

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Array | None], scratch: Array | None) -> Callable[[], None]:
        """As `OneDnnExecutable.bind`; running it raises RuntimeError where the workspace is another's."""
        if self._place is None:
            return self._inner.bind(inputs, outputs, scratch)
        sides: list[list[Any]] = [list(inputs), list(outputs)]
        whole = sides[self._writes][self._place]
        sides[self._writes][self._place] = whole[WORKSPACE_START:]
        run = self._inner.bind(sides[0], sides[1], scratch)

        def write() -> None:
            run()
            whole[0] = WRITTEN_BY_ONEDNN

        def read() -> None:
            if whole[0] != WRITTEN_BY_ONEDNN:
                raise RuntimeError(
                    "A recurrent network's gradient expected a workspace that oneDNN wrote. Received: one of another "
                    "device; the device must not change between a forward pass and its gradient."
                )
            run()

        return write if self._writes else read


def _workspace_port(description: PrimitiveDescriptor, position: int) -> Port:
    layout = description.descriptor(Query.WORKSPACE)
    assert layout is not None
    return Port(Argument.WORKSPACE, position, layout)


# Kernels -------------------------------------------------------------------------------------------------------------


def _register(target: Primitive, gradient: Primitive) -> None:
    """Declares the kernels of a kind of network and of its gradient."""

    @kernel(target, device="onednn")
    @declining
    def prepare_forward(
        inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
    ) -> Executable | None:
        if not all(is_plain_float(spec) for spec in (*inputs, *outputs[:-1])):
            return None
        network = _Network.of(target.name, inputs[0].shape, inputs[-2].shape[0], options)
        wanted = [output is not None for output in outputs]
        if not wanted[-1]:
            description = network.forward(Propagation.INFERENCE)
            return _Recurrent(OneDnnExecutable(description, network.inputs(), network.results(), inputs, wanted))
        description = network.forward(Propagation.TRAINING)
        network.backward(description)  # declines where the gradient does: one of them must not read the other's work
        place = network.held + 1
        ports = [*network.results(), _workspace_port(description, place)]
        return _Recurrent(OneDnnExecutable(description, network.inputs(), ports, inputs, wanted), place, writes=True)

    @kernel(gradient, device="onednn")
    @declining
    def prepare_gradient(
        inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
    ) -> Executable | None:
        if not all(is_plain_float(spec) for spec in (*inputs[:-1], *outputs)):
            return None
        count, place = len(outputs) - 4, len(inputs) - 1
        x, recurrent = inputs[count + 1], inputs[2 * count + 3]
        network = _Network.of(target.name, x.shape, recurrent.shape[0], options)
        description = network.backward(network.forward(Propagation.TRAINING))
        ports = [
            *network.results(_RESULT_GRADIENTS),
            *network.inputs(first=count + 1),
            *network.results(first=2 * count + 5),
            _workspace_port(description, place),
        ]
        wanted = [output is not None for output in outputs]
        return _Recurrent(OneDnnExecutable(description, ports, network.input_gradients(), inputs, wanted), place)


for _target, _gradient in PAIRS.values():
    _register(_target, _gradient)
