"""VariableOwner: the part of a layer that owns state: variables, its own and those of the layers below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.layers import tracking
from engine.ops.operation import Operation
from engine.variable import Variable, structure_epoch

_OWNING_NOTHING = (bool, int, float, str, type(None))


class VariableOwner(Operation, tracking.Owner):
    """An operation with variables. Variables and layers set as attributes, or in nests there, are its own.

    Args:
        trainable: whether optimizers update the variables.
        name: default: the class's name in snake case, numbered.
    """

    built = False

    def __init__(self, trainable: bool = True, name: str | None = None) -> None:
        # Attributes that are variables are noticed from here on.
        self._trainable_variables: list[Variable] = []
        self._non_trainable_variables: list[Variable] = []
        self._trainable = bool(trainable)
        super().__init__(name=name)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Variable):
            self._track_variable(value)
        if not (isinstance(value, _OWNING_NOTHING) and isinstance(self.__dict__.get(name), _OWNING_NOTHING)):
            structure_epoch.count += 1
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        structure_epoch.count += 1
        object.__delattr__(self, name)

    def _track_variable(self, variable: Variable) -> None:
        try:
            known = (*self._trainable_variables, *self._non_trainable_variables)
        except AttributeError:
            raise RuntimeError(
                f"{type(self).__name__}.__init__() must call super().__init__() before it sets variables."
            ) from None
        if not any(variable is other for other in known):
            (self._trainable_variables if variable.trainable else self._non_trainable_variables).append(variable)

    @property
    def _layers(self) -> list[Any]:
        """The layers among the attributes, in the order in which they were set."""
        return tracking.owned(self, tracking.is_layer)

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list[Any]:
        """This layer and those below it, each once, outer before inner."""
        found: dict[int, VariableOwner] = {}
        waiting: list[VariableOwner] = [self]
        while waiting:
            layer = waiting.pop(0)
            if id(layer) in found:
                continue
            found[id(layer)] = layer
            if recursive or layer is self:
                waiting = [*layer._layers, *waiting]
        return [layer for layer in found.values() if include_self or layer is not self]

    def _own_variables(self) -> list[Variable]:
        """The variables of this layer itself, in the order in which archives number them."""
        own = {id(v): v for v in (*self._trainable_variables, *self._non_trainable_variables)}
        for variable in tracking.owned(self, lambda item: isinstance(item, Variable)):
            own.setdefault(id(variable), variable)
        return list(own.values())

    @property
    def weights(self) -> list[Variable]:
        """The variables of this layer and of those below it; not the state of metrics and random generators."""
        found = {id(v): v for layer in self._flatten_layers() for v in layer._own_variables()}
        return list(found.values())

    @property
    def variables(self) -> list[Variable]:
        """All state: the weights, then that of random generators and metrics."""
        found = {id(v): v for v in self.weights}
        for layer in self._flatten_layers():
            for generator in tracking.owned(layer, tracking.is_generator):
                found.setdefault(id(generator.state), generator.state)
            for metric in tracking.owned(layer, tracking.is_metric):
                found.update((id(v), v) for v in metric.variables)
        return list(found.values())

    @property
    def trainable_variables(self) -> list[Variable]:
        """What optimizers update; empty while the layer is frozen."""
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The rest of `variables`."""
        return [v for v in self.variables if not (self.trainable and v.trainable)]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that optimizers update; empty while the layer is frozen."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The rest of `weights`."""
        return [v for v in self.weights if not (self.trainable and v.trainable)]

    @property
    def trainable(self) -> bool:
        """Whether optimizers may update the layer; setting it reaches the layers below."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._flatten_layers():
            layer._trainable = bool(value)
            structure_epoch.count += 1
            for variable in layer._trainable_variables:
                variable.trainable = bool(value)

    @property
    def metrics(self) -> list[Any]:
        """The metrics of this layer and of those below it."""
        return [metric for layer in self._flatten_layers() for metric in tracking.owned(layer, tracking.is_metric)]

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Copies of the weights' values, in the order of `weights`."""
        return [variable.numpy() for variable in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets all weights; raises ValueError where the count or a shape differs, and then sets none."""
        variables = self.weights
        if len(variables) != len(weights):
            raise ValueError(f"Layer {self.name!r} expects {len(variables)} weights, received {len(weights)}.")
        for variable, value in zip(variables, weights, strict=True):
            if tuple(np.shape(value)) != variable.shape:
                raise ValueError(
                    f"Layer {self.name!r}: weight {variable.path!r} has shape {variable.shape}, "
                    f"received {tuple(np.shape(value))}."
                )
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """The number of values in all weights; raises ValueError before the layer is built."""
        if not self.built:
            raise ValueError(f"Layer {self.name!r} is not built yet: call it, or `build()` it, to count parameters.")
        return sum(variable.size for variable in self.weights)

    # Archives --------------------------------------------------------------------------------------------------------

    def saveable_children(self) -> dict[str, Any]:
        """By attribute, in the order of archives: layers, metrics, and lists or dictionaries that hold some."""
        return tracking.saveable_attributes(self)

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Puts the values of the layer's own variables into `store`, by "0", "1", …"""
        for index, variable in enumerate(self._own_variables()):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Sets the layer's own variables from `store`; raises ValueError, and sets none, where they do not fit."""
        variables = self._own_variables()
        if len(store) != len(variables):
            hint = "" if self.built else " It is not built; build it, or call it on data, before loading."
            raise ValueError(
                f"Layer {self.name!r} expects {len(variables)} variables, but {len(store)} were saved.{hint}"
            )
        values = [np.asarray(store[str(index)]) for index in range(len(variables))]
        wrong = [
            f"variable {variable.path!r} has shape {variable.shape}, but the saved one has {value.shape}"
            for variable, value in zip(variables, values, strict=True)
            if value.shape != variable.shape
        ]
        if wrong:
            raise ValueError(f"Layer {self.name!r}: {'; '.join(wrong)}.")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
