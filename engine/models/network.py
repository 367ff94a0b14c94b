"""The network between placeholders: which calls lie between inputs and outputs, and in which order they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from engine import tree
from engine.ops.operation import KerasTensor, Node, Operation


class Network:
    """The calls that lead from inputs to outputs.

    Args:
        inputs, outputs: placeholders, flattened.

    Attributes:
        nodes: the calls in an order in which every one follows those that it needs.
        operations: by depth, those farthest from the outputs first; Keras's order in files.

    Raises:
        ValueError: an output that the inputs do not lead to, or two operations of one name.
    """

    def __init__(self, inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> None:
        self._inputs = {id(tensor) for tensor in inputs}
        self._found: dict[Operation, int] = {}
        self.nodes: list[Node] = []
        self._walk([_node_of(tensor) for tensor in outputs])
        for tensor in inputs:  # an input that leads nowhere still belongs to the model
            node = _node_of(tensor)
            if node not in self.nodes:
                self._found.setdefault(node.operation, -1)
                self.nodes.insert(0, node)
        depths = self._depths()
        self.operations = sorted(self._found, key=lambda item: (-depths.get(item, 0), self._found[item]))
        self._check_names()

    def _walk(self, ends: list[Node]) -> None:
        """Depth first from the outputs; a node is listed when all it needs is."""
        done: set[int] = set()
        open_nodes: set[int] = set()
        stack = [(node, False) for node in reversed(ends)]
        while stack:
            node, entered = stack.pop()
            if entered:
                open_nodes.discard(id(node))
                done.add(id(node))
                self.nodes.append(node)
                continue
            if id(node) in done:
                continue
            if id(node) in open_nodes:
                raise ValueError(f"The network goes in a circle through {node.operation.name!r}.")
            self._found.setdefault(node.operation, len(self._found))
            open_nodes.add(id(node))
            stack.append((node, True))
            if self._is_beginning(node):
                continue
            if node.is_input:
                raise ValueError(
                    f"The output depends on {node.operation.name!r}, which is not among the model's inputs."
                )
            stack += [(parent, False) for parent in reversed(node.parent_nodes)]

    def _is_beginning(self, node: Node) -> bool:
        return any(id(tensor) in self._inputs for tensor in node.output_tensors)

    def _depths(self) -> dict[Operation, int]:
        of_nodes: dict[int, int] = {}
        of_operations: dict[Operation, int] = {}
        for node in reversed(self.nodes):
            depth = max(of_nodes.get(id(node), 0), of_operations.get(node.operation, 0))
            of_nodes[id(node)] = of_operations[node.operation] = depth
            if not self._is_beginning(node):
                for parent in node.parent_nodes:
                    of_nodes[id(parent)] = max(depth + 1, of_nodes.get(id(parent), 0))
        return of_operations

    def _check_names(self) -> None:
        names = Counter(operation.name for operation in self.operations)
        for name, count in names.items():
            if count > 1:
                raise ValueError(f"The name {name!r} is used {count} times in the model; names must differ.")

    def run(
        self,
        inputs: Sequence[KerasTensor],
        outputs: Any,
        values: Sequence[Any],
        operate: Callable[[Operation], Callable[..., Any]] = lambda operation: operation,
    ) -> Any:
        """Calls every operation on the given values.

        Args:
            inputs: placeholders of the inputs.
            outputs: the nest of placeholders wanted.
            values: what stands in the inputs' places.
            operate: what is called in the place of an operation.
        """
        known: dict[int, Any] = {id(tensor): value for tensor, value in zip(inputs, values, strict=True)}
        for node in self.nodes:
            if node.is_input or all(id(tensor) in known for tensor in node.output_tensors):
                continue
            args, kwargs = node.fill_in(known)
            results = operate(node.operation)(*args, **kwargs)
            for tensor, result in zip(node.output_tensors, tree.flatten(results), strict=True):
                known[id(tensor)] = result
        return tree.map_structure(lambda tensor: known[id(tensor)], outputs)

    def positions(self) -> dict[int, int]:
        """By node: its number among the calls of its operation that belong to this network."""
        own = {id(node) for node in self.nodes}
        found: dict[int, int] = {}
        for operation in self.operations:
            count = 0
            for node in operation.inbound_nodes:
                if id(node) in own:
                    found[id(node)] = count
                    count += 1
        return found


def _node_of(tensor: KerasTensor) -> Node:
    if tensor.history is None:
        raise ValueError(f"{tensor!r} was made by no layer or operation: begin with `Input(shape)`.")
    return tensor.history.operation.inbound_nodes[tensor.history.node_index]
