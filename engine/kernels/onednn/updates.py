"""Optimizer steps on oneDNN: a few passes over a variable, its slots and its gradient, each on all threads.

A pass is one binary operation whose result adds to what its array holds, so that it reads and writes each array once.
Passes go chunk by chunk through large arrays: what one pass leaves in the cache the next one finds there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.kernels.onednn.attributes import Attributes, PostOperations
from engine.kernels.onednn.constants import Argument, BinaryAlgorithm, Elementwise
from engine.kernels.onednn.executable import OneDnnExecutable, Port
from engine.kernels.onednn.handles import MemoryDescriptor, PrimitiveDescriptor
from engine.kernels.onednn.layouts import FLOAT32, declining, is_plain_float, row_major
from engine.primitives.primitive import Array, Executable, Primitive, Spec, kernel
from engine.primitives.update import adam_update, momentum_update, sgd_update
from engine.threads import thread_count

# From so many elements on starting the threads pays.
_SMALLEST = 1 << 13
# Elements of a chunk for each thread: Adam's four arrays take 512 KB of its second-level cache.
_CHUNK = 1 << 15


class _Pass(NamedTuple):
    """One operation on arrays of an update: variable and slots, then the gradient, then scalars."""

    executable: OneDnnExecutable
    arrays: tuple[int, ...]  # which of them it takes, the one that it adds to first


class _Formula:
    """Builds the passes of an update for chunks of one length."""

    def __init__(self, length: int) -> None:
        self._chunk = row_major((length,))
        self._number = row_major((1,))
        self._specs = (Spec((length,), FLOAT32), Spec((1,), FLOAT32))
        self.passes: list[_Pass] = []

    def add(
        self,
        target: int,
        algorithm: BinaryAlgorithm,
        source: int,
        second: int | float,
        keep: float = 1.0,
        scalars: Sequence[int] = (),
        functions: Sequence[tuple[Elementwise, float, float]] = (),
        factors: Sequence[int] = (),
    ) -> None:
        """Appends `target = keep · target + factors · functions(algorithm(source, second))`.

        Args:
            second: another array; a float: that number for all entries.
            scalars: which arrays are single numbers.
            functions: with alpha and beta, applied in order.
        """
        layouts = {index: self._number if index in scalars else self._chunk for index in (source, second, *factors)}
        after = PostOperations()
        for function, alpha, beta in functions:
            after.elementwise(function, alpha, beta)
        arrays = [target, source]
        ports = [Port(Argument.SOURCE, 1, self._chunk)]
        constants: list[tuple[int, Array]] = []
        if isinstance(second, float):
            other: MemoryDescriptor = self._number
            constants.append((Argument.SECOND_SOURCE, np.full(1, second, np.float32)))
        else:
            other = layouts[second]
            ports.append(Port(Argument.SECOND_SOURCE, len(arrays), other))
            arrays.append(second)
        for factor in factors:
            argument = after.binary(BinaryAlgorithm.MULTIPLY, layouts[factor])
            ports.append(Port(argument, len(arrays), layouts[factor]))
            arrays.append(factor)
        after.sum(keep)
        description = PrimitiveDescriptor(
            "binary", algorithm, self._chunk, other, self._chunk, attributes=Attributes(after)
        )
        specs = [self._specs[index in scalars] for index in arrays]
        results = [Port(Argument.RESULT, 0, self._chunk)]
        executable = OneDnnExecutable(description, ports, results, specs, accumulates=0, constants=constants)
        self.passes.append(_Pass(executable, tuple(arrays)))


class UpdateExecutable:
    """The passes of an update, chunk by chunk; see `engine.primitives.primitive.Executable`.

    Args:
        build: the passes for chunks of a length.
        size: elements of the variable.
        count: how many arrays an update changes: the variable and its slots.
    """

    def __init__(self, build: Callable[[int], list[_Pass]], size: int, count: int) -> None:
        self._size = size
        self._count = count
        self._length = min(size, _CHUNK * thread_count())
        self._passes = {length: build(length) for length in {self._length, size % self._length or self._length}}
        executables = [item.executable for passes in self._passes.values() for item in passes]
        self.implementation = "+".join(dict.fromkeys(executable.implementation for executable in executables))
        self.scratch_bytes = max(executable.scratch_bytes for executable in executables)
        self.packings: dict[int, Callable[[Array], Any]] = {}
        # Passes change variable and slots where they lie; where results have memory of their own they are copied.
        self.inplace: Sequence[tuple[int, int]] = tuple((index, index) for index in range(count))

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Array | None], scratch: Array | None) -> Callable[[], None]:
        """A function that makes the update on exactly these arrays."""
        results = [output for output in outputs if output is not None]
        copies = [
            (result, given)
            for result, given in zip(results, inputs, strict=False)
            if result.ctypes.data != given.ctypes.data
        ]
        flat = [array.reshape(-1) for array in (*results, inputs[self._count])]
        numbers = [array.reshape(1) for array in inputs[self._count + 1 :]]
        runs: list[Callable[[], None]] = []
        for start in range(0, self._size, self._length):
            stop = min(start + self._length, self._size)
            arrays = [*(array[start:stop] for array in flat), *numbers]
            for executable, chosen in self._passes[stop - start]:
                runs.append(executable.bind([arrays[index] for index in chosen], [arrays[chosen[0]]], scratch))

        def update() -> None:
            for result, given in copies:
                np.copyto(result, given)
            for run in runs:
                run()

        return update


_Options = dict[str, Any]


def _sgd(length: int, options: _Options) -> list[_Pass]:
    formula = _Formula(length)
    _add_descent(formula, 0, 1, 2)
    return formula.passes


def _momentum(length: int, options: _Options) -> list[_Pass]:
    formula = _Formula(length)
    variable, velocity, gradient, rate = range(4)
    momentum, nesterov = options["momentum"], options.get("nesterov", False)
    _add_descent(formula, velocity, gradient, rate, keep=momentum)
    formula.add(variable, BinaryAlgorithm.MULTIPLY, velocity, float(momentum) if nesterov else 1.0)
    if nesterov:
        _add_descent(formula, variable, gradient, rate)
    return formula.passes


def _add_descent(formula: _Formula, target: int, gradient: int, rate: int, keep: float = 1.0) -> None:
    """`target = keep · target - rate · gradient`."""
    negative = [(Elementwise.LINEAR, -1.0, 0.0)]
    formula.add(target, BinaryAlgorithm.MULTIPLY, gradient, rate, keep, scalars=(rate,), functions=negative)


def _adam(length: int, options: _Options) -> list[_Pass]:
    formula = _Formula(length)
    variable, momentum, velocity, gradient, size = range(5)
    beta_1, beta_2 = options["beta_1"], options["beta_2"]
    formula.add(momentum, BinaryAlgorithm.MULTIPLY, gradient, 1.0 - beta_1, keep=beta_1)
    share = [(Elementwise.LINEAR, 1.0 - beta_2, 0.0)]
    formula.add(velocity, BinaryAlgorithm.MULTIPLY, gradient, gradient, keep=beta_2, functions=share)
    # -1 / (sqrt(velocity) + epsilon): a power is what divides by the value in registers.
    inverse = [
        (Elementwise.SQUARE_ROOT, 0.0, 0.0),
        (Elementwise.LINEAR, 1.0, options["epsilon"]),
        (Elementwise.POWER, -1.0, -1.0),
    ]
    formula.add(
        variable,
        BinaryAlgorithm.ADD,
        velocity,
        0.0,
        scalars=(size,),
        functions=inverse,
        factors=(momentum, size),
    )
    return formula.passes


def _register(target: Primitive, formula: Callable[[int, _Options], list[_Pass]]) -> None:
    @declining
    def prepare(inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: _Options) -> Executable | None:
        """The next values of a variable and its slots."""
        if not all(map(is_plain_float, inputs)) or any(output is None for output in outputs):
            return None
        size = inputs[0].nbytes // FLOAT32.itemsize
        executable = UpdateExecutable(lambda length: formula(length, options), size, len(outputs))
        return None if "ref" in executable.implementation else executable

    kernel(target, "onednn", _SMALLEST)(prepare)


_register(sgd_update, _sgd)
_register(momentum_update, _momentum)
_register(adam_update, _adam)
