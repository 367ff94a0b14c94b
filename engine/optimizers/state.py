"""An optimizer's state: its variables in the order of files, and how they are set."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import ops
from engine.scopes import unrecorded
from engine.variable import Variable

logger = logging.getLogger("engine")


class OptimizerState:
    """The part of an optimizer that owns variables.

    Args:
        name: the optimizer's, with which the variables' paths begin.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._variables: list[Variable] = []
        self._condition: Any = None  # while gradients accumulate: whether this step updates variables

    def _own(self, variable: Variable) -> Variable:
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    @property
    def variables(self) -> list[Variable]:
        """All state in Keras's order."""
        return list(self._variables)

    def add_variable(
        self, shape: tuple[int, ...], initializer: Any = "zeros", dtype: Any = None, name: str | None = None
    ) -> Variable:
        """A new state variable."""
        from engine import initializers

        start = initializers.get(initializer)
        with unrecorded():  # optimizers may be built while a step is captured
            variable = Variable(start, shape=tuple(shape), dtype=dtype, trainable=False, name=name)
        return self._own(variable)

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A new state variable of the shape and dtype of another, named after both."""
        label = f"{reference_variable.path}_{name or 'slot'}".replace("/", "_")
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, label)

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """Slots for every variable: a list for one name; for a list of names a tuple of lists, made interleaved."""
        names = [name] if isinstance(name, str) else list(name)
        starts = list(initializer) if isinstance(initializer, (list, tuple)) else [initializer] * len(names)
        slots: tuple[list[Variable], ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            for label, start, group in zip(names, starts, slots, strict=True):
                group.append(self.add_variable_from_reference(variable, label, start))
        return slots[0] if isinstance(name, str) else slots

    def assign(self, variable: Variable, value: Any) -> None:
        """Sets a variable or slot, unless this step only accumulates gradients."""
        if self._condition is not None:
            value = ops.where(self._condition, value, variable)
        variable.assign(ops.cast(value, variable.dtype.name))

    def assign_add(self, variable: Variable, value: Any) -> None:
        self.assign(variable, variable + ops.cast(value, variable.dtype.name))

    def assign_sub(self, variable: Variable, value: Any) -> None:
        self.assign(variable, variable - ops.cast(value, variable.dtype.name))

    def saveable_children(self) -> dict[str, Any]:
        """Nothing below an optimizer owns variables."""
        return {}

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Writes all variables to `store` under "0", "1", …"""
        for index, variable in enumerate(self.variables):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote; does nothing but warn where the number of variables differs.

        What an optimizer wrote before it had slots, for a model that was not trained yet, is read too.
        """
        variables = self.variables
        beginning = [variable for variable in variables[:2] if variable.name in ("iteration", "learning_rate")]
        if len(store) == len(beginning):
            variables = beginning
        if len(store) != len(variables):
            logger.warning(
                "Optimizer %r has %d variables, the file %d: its state is not loaded.",
                self.name,
                len(variables),
                len(store),
            )
            return
        for index, variable in enumerate(variables):
            variable.assign(np.asarray(store[str(index)]))

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets all variables from arrays, in the order of `variables`."""
        variables = self.variables
        if len(weights) != len(variables):
            raise ValueError(f"Expected {len(variables)} arrays, received {len(weights)}.")
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(np.asarray(value))
