"""The plan: a schedule bound to memory, ready to run again and again without allocating or deciding anything.

Inputs are copied in and outputs copied out, so that nobody outside holds the arena. A plan is not safe for several
threads at once; its owner has the lock.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from engine.graph.constants import Constants
from engine.graph.graph import Graph, Node
from engine.graph.memory import Arena, carve
from engine.graph.passes import Lower, optimise
from engine.graph.schedule import Schedule, Step, describe
from engine.primitives.primitive import Array, Executable
from engine.tensor import Symbol
from engine.variable import Variable, storage_epoch

_PROFILED_RUNS = 11


class Plan:
    """A graph, optimised and bound.

    Args:
        graph: what to run; the plan takes it over.
        arena: where its buffers lie; plans that share one must not run at the same time.
        constants: folded and packed weights shared with other plans.
        frozen: variables that are only read keep today's values; their packed forms are never checked again.
        lower: rewrites the optimised graph to another precision.
    """

    def __init__(
        self,
        graph: Graph,
        arena: Arena | None = None,
        constants: Constants | None = None,
        frozen: bool = False,
        lower: Lower | None = None,
    ) -> None:
        self._constants = constants or Constants()
        optimise(graph, self._constants, frozen, lower)
        self._graph = graph
        self._schedule = Schedule(graph)
        self._frozen = frozen
        self._memory = (arena or Arena()).reserve(self._schedule.arena_bytes)
        self.arena_bytes = self._schedule.arena_bytes
        self._bind()
        if frozen and not self._assigned:
            self._let_go()

    # Binding --------------------------------------------------------------------------------------

    def _bind(self) -> None:
        self._arrays: dict[Symbol, Array] = {}
        self._repack: list[tuple[Variable, int, Callable[[], None]]] = []
        self._epoch = storage_epoch.count
        for symbol in (*self._graph.inputs, *self._graph.constants, *self._graph.variables):
            self._arrays[symbol] = self._locate(symbol)
        self._run: list[Callable[[], None]] = []
        for step in self._schedule.steps:
            bound = self._bind_step(step)
            if bound is not None:
                self._run.append(bound)
        self._inputs = [self._arrays[symbol] for symbol in self._graph.inputs]
        self._outputs = [self._arrays[symbol] for symbol in self._graph.outputs]
        self._commits = self._bind_commits()
        self._assigned = list(self._graph.assignments)
        self._bound = [(variable, variable.array) for variable in (*self._graph.variables.values(), *self._assigned)]

    def _locate(self, symbol: Symbol) -> Array:
        storage = self._schedule.storages[symbol]
        if storage.variable is not None:
            return storage.variable.array
        if storage.constant is not None:
            return storage.constant
        assert storage.offset is not None
        return carve(self._memory, storage.offset, symbol.shape, symbol.dtype)

    def _bind_step(self, step: Step) -> Callable[[], None] | None:
        node, arrays = step.node, self._arrays
        inputs: list[Any] = [arrays[symbol] for symbol in node.inputs]
        if node.primitive.view:
            arrays[node.outputs[0]] = node.primitive.reference(*inputs, **node.options)
            return None
        for symbol in node.outputs:
            arrays[symbol] = self._locate(symbol)
        outputs = [arrays[symbol] for symbol in node.outputs]
        executable = step.executable
        if executable is None:
            return _reference(node.primitive, inputs, outputs, node.options)
        scratch = None
        if executable.scratch_bytes:
            scratch = self._memory[step.scratch_offset : step.scratch_offset + executable.scratch_bytes]
        wanted = [array if want else None for array, want in zip(outputs, step.wanted, strict=True)]
        run = executable.bind(self._packed_inputs(node, executable), wanted, scratch)
        # Weights that may change between runs (predict after fit): packed again when their version moved.
        index = len(self._run)

        def again() -> None:
            self._run[index] = executable.bind(self._packed_inputs(node, executable), wanted, scratch)

        changing = (self._graph.variables.get(node.inputs[position]) for position in executable.packings)
        self._repack.extend((variable, variable.version, again) for variable in changing if variable is not None)
        return run

    def _packed_inputs(self, node: Node, executable: Executable) -> list[Any]:
        """A node's inputs as its kernel takes them; constants are packed once for all plans, variables each time."""
        inputs: list[Any] = [self._arrays[symbol] for symbol in node.inputs]
        for position, pack in executable.packings.items():
            source = inputs[position]
            if node.inputs[position] in self._graph.variables:
                inputs[position] = pack(source)
            else:
                inputs[position] = self._constants.pack(source, pack, partial(pack, source))
        return inputs

    def _bind_commits(self) -> list[tuple[Array, Array]]:
        """Copies into variables. A source that lies in a variable is staged: another copy could overwrite it."""
        commits: list[tuple[Array, Array]] = []
        staged: list[tuple[Array, Array]] = []
        for variable, symbol in self._schedule.commits:
            source = self._arrays[symbol]
            if self._schedule.storages[symbol].variable is not None:
                stage = np.empty_like(source)
                staged.append((stage, source))
                source = stage
            commits.append((variable.array, source))
        return staged + commits

    def _let_go(self) -> None:
        """Drops what only binding needed: weights of which packed forms are used are not kept twice."""
        self._arrays.clear()
        self._graph.constants.clear()
        for storage in self._schedule.storages.values():
            storage.constant = None

    # Running --------------------------------------------------------------------------------------

    def run(self, arrays: Sequence[Array], out: Sequence[Array] | None = None) -> list[Array]:
        """Runs on arrays of the captured shapes (cast to the captured dtypes).

        Returns fresh arrays, or `out` filled.
        """
        if storage_epoch.count != self._epoch:
            self._follow_storage()
        if self._repack and not self._frozen:
            self._refresh_packed()
        with np.errstate(all="ignore"):
            for buffer, array in zip(self._inputs, arrays, strict=True):
                np.copyto(buffer, array, casting="unsafe")
            for step in self._run:
                step()
            # Outputs before commits: an output may be a view of what a variable held before.
            if out is None:
                results = [np.array(array) for array in self._outputs]
            else:
                results = list(out)
                for result, array in zip(results, self._outputs, strict=True):
                    np.copyto(result, array)
            for target, source in self._commits:
                np.copyto(target, source)
        for variable in self._assigned:
            variable.version += 1
        return results

    def _follow_storage(self) -> None:
        """Binds anew where a variable's memory was replaced by an assignment under a tape."""
        if any(variable.array is not array for variable, array in self._bound):
            self._bind()
        self._epoch = storage_epoch.count

    def _refresh_packed(self) -> None:
        for index, (variable, version, again) in enumerate(self._repack):
            if variable.version != version:
                again()
                self._repack[index] = (variable, variable.version, again)

    def output_specs(self) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
        """Shape and dtype of each output."""
        return [(symbol.shape, symbol.dtype) for symbol in self._graph.outputs]

    def describe(self, profile: bool = False) -> list[dict[str, Any]]:
        """A row for each step: node, kernel, implementation, shapes and bytes of its results.

        With `profile` each row has the milliseconds of its step, the median of several runs on zeros; variables keep
        their values.
        """
        rows = describe(self._schedule)
        if profile:
            for row, milliseconds in zip(rows, self._profile(), strict=True):
                row["milliseconds"] = milliseconds
        return rows

    @contextmanager
    def without_assignments(self) -> Iterator[None]:
        """Variables have their values and versions back afterwards: for runs whose results nobody wants."""
        held = [(variable, variable.array.copy(), variable.version) for variable in self._assigned]
        try:
            yield
        finally:
            for variable, array, version in held:
                np.copyto(variable.array, array)
                variable.version = version

    def _profile(self) -> list[float]:
        seconds: list[list[float]] = [[] for _ in self._run]
        with self.without_assignments(), np.errstate(all="ignore"):
            for _ in range(_PROFILED_RUNS):
                for buffer in self._inputs:
                    buffer[...] = 0  # later steps may have used its memory
                for times, step in zip(seconds, self._run, strict=True):
                    start = time.perf_counter()
                    step()
                    times.append(time.perf_counter() - start)
        medians = iter(statistics.median(times) * 1e3 for times in seconds)
        return [0.0 if step.node.primitive.view else next(medians) for step in self._schedule.steps]


def _reference(
    primitive: Any, inputs: list[Array], outputs: list[Array], options: dict[str, Any]
) -> Callable[[], None]:
    if primitive.into is not None:
        into = primitive.into
        return lambda: into(inputs, outputs, **options)
    reference = primitive.reference

    def run() -> None:
        results = reference(*inputs, **options)
        if not isinstance(results, tuple):
            results = (results,)
        for output, result in zip(outputs, results, strict=True):
            np.copyto(output, result, casting="unsafe")

    return run
