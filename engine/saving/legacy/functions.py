"""Functions of TensorFlow that old models call between their layers, followed in our own operations.

tf.keras recorded each as a layer of its own: `TFOpLambda` and `SlicingOpLambda` name a Python function ("math.add"),
`TensorFlowOpLayer` a node of a TensorFlow graph ("AddV2"). A call of such a layer on placeholders calls our operations
on them, so that the model that comes of it has operations that Keras 3 knows as well. What the table does not hold is
refused by its name: nothing is looked up anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import tree
from engine.ops.operation import KerasTensor, Operation, any_symbolic
from engine.registry import registered
from engine.saving.legacy.function_table import FUNCTIONS, ON_LENGTHS
from engine.saving.legacy.graph_nodes import function_of_node


def check_function(name: Any) -> None:
    """Raises ValueError where a function of TensorFlow is not known."""
    if not isinstance(name, str) or name.removeprefix("compat.v1.") not in FUNCTIONS:
        raise ValueError(f"TensorFlow's function {name!r} is not supported.")


class _Followed:
    """What stands in a node's place: its outputs are those of our operations, or numbers known beforehand."""

    is_input = False

    def __init__(self, output_tensors: list[Any]) -> None:
        self.output_tensors = output_tensors


class _TensorFlowFunction(Operation):
    """A recorded function; `symbolic_call` follows it.

    Args:
        function: the name, as the file has it.
        name: of the layer.
    """

    folds_numbers = True
    """Calls on no tensor at all are followed too: arithmetic on lengths that are known beforehand."""

    def __init__(self, function: str, name: str | None = None) -> None:
        super().__init__(name)
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("name", None)
        inputs = {id(leaf) for leaf in tree.flatten([list(args), kwargs]) if isinstance(leaf, KerasTensor)}
        table = FUNCTIONS if any_symbolic((args, kwargs)) else ON_LENGTHS
        outputs = self._follow(self._known(table), args, kwargs)
        several = isinstance(outputs, list)
        self.inbound_nodes.append(_Followed(outputs if several else [outputs]))  # type: ignore[arg-type]
        self._name_operations(outputs if several else [outputs], inputs)
        return outputs

    def _known(self, table: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
        function = table.get(self._function.removeprefix("compat.v1."))
        if function is None:
            on_none = "" if table is FUNCTIONS else " on none of the model's tensors"
            raise ValueError(
                f"Layer {self.name!r} calls TensorFlow's function {self._function!r}{on_none}, which is not supported."
            )
        return function

    def _follow(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        try:
            return function(*args, **kwargs)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"Layer {self.name!r} calls TensorFlow's function {self._function!r} in a way that is not supported: "
                f"{error}"
            ) from error

    def _name_operations(self, outputs: list[Any], inputs: set[int]) -> None:
        """Names the operations that this call made after the layer, the last one first."""
        found: list[Operation] = []
        waiting = [tensor for tensor in outputs if isinstance(tensor, KerasTensor)]
        while waiting:
            tensor = waiting.pop(0)
            if id(tensor) in inputs or tensor.history is None:
                continue
            operation = tensor.history.operation
            if not any(operation is known for known in found):
                found.append(operation)
                waiting += operation.inbound_nodes[tensor.history.node_index].input_tensors
        calls = len(self.inbound_nodes)
        for number, operation in enumerate(found):
            suffixes = [str(part) for part in (calls - 1, number) if part]
            operation.name = ".".join([self.name, *suffixes])


@registered("keras.layers", "SlicingOpLambda")
class TFOpLambda(_TensorFlowFunction):
    """A function by its Python name below `tf`."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TFOpLambda:
        function = config.get("function")
        if not isinstance(function, str):
            raise ValueError(f"Expected the name of a function of TensorFlow. Received: {function!r}")
        return cls(function, config.get("name"))


@registered("keras.layers", "AddLoss", "AddMetric")
class _Passing(_TensorFlowFunction):
    """Layers that recorded a loss or a metric of the model: what they are given goes through."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__("identity", name)

    def _known(self, table: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
        return lambda inputs, **kwargs: inputs

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> _Passing:
        return cls(config.get("name"))


@registered("keras.layers")
class TensorFlowOpLayer(_TensorFlowFunction):
    """A node of a TensorFlow graph, with those of its inputs that are constants."""

    def __init__(self, node: dict[str, Any], constants: dict[str, Any], name: str | None = None) -> None:
        super().__init__(str(node.get("op")), name)
        self._node = node
        self._constants = constants

    def _known(self, table: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
        return function_of_node(self._node, self._constants)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TensorFlowOpLayer:
        node, constants = config.get("node_def"), config.get("constants") or {}
        if not isinstance(node, dict) or not isinstance(constants, dict):
            raise ValueError(f"Layer {config.get('name')!r} holds a node of a TensorFlow graph that cannot be read.")
        return cls(node, constants, f"tf_op_layer_{config.get('name')}")
