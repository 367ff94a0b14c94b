"""The schedule of a plan: which implementation runs each node, and which memory each symbol lies in.

Memory is decided by storages. A storage is one buffer: a slice of the arena, a variable's own memory or a constant.
Views share the storage of what they look at; a result may take over the storage of an input that nobody needs
afterwards; a result that is assigned to a variable is written straight into the variable where no reader of the old
value remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.graph.graph import Graph, Node
from engine.graph.memory import Lifetime, layout
from engine.primitives.casting import copy
from engine.primitives.dispatch import device, has_kernel, prepare
from engine.primitives.primitive import Array, Executable, Spec
from engine.primitives.shaping import broadcast_to, getitem, reshape, transpose
from engine.tensor import Symbol
from engine.variable import Variable

_REORDERING = (transpose, getitem, broadcast_to)  # views that may leave their input's row-major order


class Storage:
    """One buffer and the steps during which it is in use."""

    __slots__ = ("constant", "first", "last", "nbytes", "offset", "owner", "variable")

    def __init__(self, owner: Symbol, first: int) -> None:
        self.owner = owner  # the symbol that fills the whole buffer
        self.nbytes = Spec(owner.shape, owner.dtype).nbytes
        self.first = first
        self.last = first
        self.offset: int | None = None  # in the arena
        self.variable: Variable | None = None
        self.constant: Array | None = None

    @property
    def in_arena(self) -> bool:
        return self.variable is None and self.constant is None


class Step:
    """One node with its implementation; `executable` None: the reference."""

    __slots__ = ("executable", "node", "scratch_offset", "wanted")

    def __init__(self, node: Node, executable: Executable | None, wanted: list[bool]) -> None:
        self.node = node
        self.executable = executable
        self.wanted = wanted
        self.scratch_offset = 0

    @property
    def inplace(self) -> Sequence[tuple[int, int]]:
        """Pairs (output, input) that the implementation lets share one buffer."""
        if self.executable is not None:
            return self.executable.inplace
        return self.node.primitive.inplace if self.node.primitive.into is not None else ()


class Schedule:
    """Steps in order, storages by symbol, and the size of the arena."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps: list[Step] = []
        self.storages: dict[Symbol, Storage] = {}
        self.commits: list[tuple[Variable, Symbol]] = []  # assignments that need a copy at the end
        self._row_major: dict[Symbol, bool] = {}
        self._kept = {*graph.outputs, *graph.assignments.values()}
        self._choose_implementations()
        self._last_use = self._find_last_uses()
        self._assign_storages()
        self.arena_bytes = self._lay_out()

    # Implementations ------------------------------------------------------------------------------

    def _choose_implementations(self) -> None:
        graph = self.graph
        consumed = {symbol for node in graph.nodes for symbol in node.inputs} | self._kept
        assigned = set(graph.assignments)
        steady = set(graph.constants) | {s for s, variable in graph.variables.items() if variable not in assigned}
        for symbol in (*graph.inputs, *graph.constants, *graph.variables):
            array = graph.constants.get(symbol)
            self._row_major[symbol] = array is None or array.flags.c_contiguous
        for node in graph.nodes:
            wanted = [output in consumed for output in node.outputs]
            executable = None
            if has_kernel(node.primitive):
                inputs = [Spec(s.shape, s.dtype, s in steady and self._row_major[s]) for s in node.inputs]
                outputs = [
                    Spec(s.shape, s.dtype) if want else None for s, want in zip(node.outputs, wanted, strict=True)
                ]
                executable = prepare(node.primitive, inputs, outputs, node.options)
            if executable is not None or node.primitive is reshape:
                node.inputs = [
                    symbol if self._row_major[symbol] else self._row_major_copy(symbol) for symbol in node.inputs
                ]
            self.steps.append(Step(node, executable, wanted))
            keeps_order = node.primitive not in _REORDERING
            for output in node.outputs:
                self._row_major[output] = keeps_order

    def _row_major_copy(self, symbol: Symbol) -> Symbol:
        node = Node(copy, [symbol], {})
        node.outputs = [Symbol(self.graph, symbol.shape, symbol.dtype, node)]
        self.steps.append(Step(node, None, [True]))
        self._row_major[node.outputs[0]] = True
        return node.outputs[0]

    # Storages -------------------------------------------------------------------------------------

    def _find_last_uses(self) -> dict[Symbol, int]:
        """By symbol: the last step that reads it or a view of it; results that are kept are read at the end."""
        end = len(self.steps)
        last = dict.fromkeys(self._kept, end)
        for index in range(end - 1, -1, -1):
            step = self.steps[index]
            through = index
            if step.node.primitive.view:
                through = max(index, last.get(step.node.outputs[0], index))
            for symbol in step.node.inputs:
                last[symbol] = max(last.get(symbol, -1), through)
        return last

    def _assign_storages(self) -> None:
        graph, storages = self.graph, self.storages
        for symbol in graph.inputs:
            self._own(symbol, 0)
        for symbol, array in graph.constants.items():
            self._own(symbol, 0).constant = array
        for symbol, variable in graph.variables.items():
            self._own(symbol, 0).variable = variable
        targets = self._direct_targets()
        for index, step in enumerate(self.steps):
            node = step.node
            if node.primitive.view:
                storages[node.outputs[0]] = storages[node.inputs[0]]
                self._extend(node.outputs[0])
                continue
            for position, output in enumerate(node.outputs):
                target = targets.get(output)
                if target is not None:
                    self._own(output, index).variable = target
                    continue
                shared = self._reusable_input(index, step, position)
                if shared is None:
                    self._own(output, index)
                else:
                    storages[output] = shared
                    self._extend(output)
        self.commits = [
            (variable, symbol) for variable, symbol in graph.assignments.items() if targets.get(symbol) is not variable
        ]

    def _own(self, symbol: Symbol, first: int) -> Storage:
        storage = self.storages[symbol] = Storage(symbol, first)
        self._extend(symbol)
        return storage

    def _extend(self, symbol: Symbol) -> None:
        storage = self.storages[symbol]
        storage.last = max(storage.last, self._last_use.get(symbol, storage.first))

    def _reusable_input(self, index: int, step: Step, position: int) -> Storage | None:
        """The storage of an input that this output may overwrite."""
        output = step.node.outputs[position]
        for out, source_position in step.inplace:
            if out != position or source_position >= len(step.node.inputs):
                continue
            source = step.node.inputs[source_position]
            storage = self.storages[source]
            # Kernels say what they can overwrite, also with numbers of another kind; NumPy would make a copy.
            same = source.dtype.itemsize == output.dtype.itemsize if step.executable else source.dtype == output.dtype
            fits = source.shape == output.shape and same and self._row_major[source]
            others = (s for k, s in enumerate(step.node.inputs) if k != source_position)
            alone = all(self.storages[other] is not storage for other in others)
            taken = any(self.storages.get(other) is storage for other in step.node.outputs[:position])
            whole = storage.nbytes == Spec(output.shape, output.dtype).nbytes
            if storage.in_arena and storage.last == index and fits and whole and alone and not taken:
                return storage
        return None

    def _direct_targets(self) -> dict[Symbol, Variable]:
        """Results that can be written straight into the variable they are assigned to."""
        graph = self.graph
        reads = {variable: symbol for symbol, variable in graph.variables.items()}
        produced = {
            output: (index, position)
            for index, step in enumerate(self.steps)
            if not step.node.primitive.view
            for position, output in enumerate(step.node.outputs)
        }
        targets: dict[Symbol, Variable] = {}
        for variable, symbol in graph.assignments.items():
            if symbol in targets or symbol not in produced:
                continue
            index, position = produced[symbol]
            old = reads.get(variable)
            last = -1 if old is None else self._last_use.get(old, -1)
            if last < index or (last == index and self._updates_in_place(self.steps[index], position, old)):
                targets[symbol] = variable
        return targets

    def _updates_in_place(self, step: Step, position: int, old: Symbol | None) -> bool:
        places = [k for k, symbol in enumerate(step.node.inputs) if symbol is old]
        if len(places) != 1 or (position, places[0]) not in step.inplace:
            return False
        # No other input may be a view of the old value.
        return all(not self._looks_at(symbol, old) for k, symbol in enumerate(step.node.inputs) if k != places[0])

    @staticmethod
    def _looks_at(symbol: Symbol, target: Symbol | None) -> bool:
        while symbol is not target:
            if symbol.node is None or not symbol.node.primitive.view:
                return False
            symbol = symbol.node.inputs[0]
        return True

    # Memory ---------------------------------------------------------------------------------------

    def _lay_out(self) -> int:
        """Offsets for everything in the arena; returns its size in bytes."""
        buffers: list[Storage] = []
        for storage in self.storages.values():
            if storage.in_arena and storage.offset is None:
                storage.offset = -1  # seen
                buffers.append(storage)
        lifetimes = [Lifetime(storage.nbytes, storage.first, storage.last) for storage in buffers]
        scratched = [(i, s) for i, s in enumerate(self.steps) if s.executable and s.executable.scratch_bytes]
        lifetimes += [Lifetime(s.executable.scratch_bytes, i, i) for i, s in scratched if s.executable]
        offsets, total = layout(lifetimes)
        for storage, offset in zip(buffers, offsets, strict=False):
            storage.offset = offset
        for (_, step), offset in zip(scratched, offsets[len(buffers) :], strict=True):
            step.scratch_offset = offset
        return total


def describe(schedule: Schedule) -> list[dict[str, Any]]:
    """A row for each step: node, kernel, implementation, shapes and bytes of its results."""
    return [
        {
            "primitive": " + ".join(map(repr, step.node.options["chain"]))
            if "chain" in step.node.options
            else step.node.primitive.name,
            "kernel": "view" if step.node.primitive.view else device() if step.executable else "numpy",
            "implementation": step.executable.implementation if step.executable else "",
            "inputs": [symbol.shape for symbol in step.node.inputs],
            "outputs": [symbol.shape for symbol in step.node.outputs],
            "bytes": sum(Spec(symbol.shape, symbol.dtype).nbytes for symbol in step.node.outputs),
        }
        for step in schedule.steps
    ]
