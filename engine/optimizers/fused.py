"""FusedOptimizer: an optimizer whose step on a variable is one primitive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from engine import ops
from engine.optimizers.optimizer import Optimizer
from engine.primitives.primitive import Primitive
from engine.variable import Variable


class FusedOptimizer(Optimizer):
    """Base of the optimizers here. Subclasses say which slots they keep and which update of
    `engine.primitives.update` makes a step.

    An update takes the variable, its slots in the order in which they are made, the gradient, scalars and options.
    """

    _update: ClassVar[Primitive]

    def _slot_groups(self) -> Sequence[Sequence[str]]:
        """The names of the slots of a variable. Slots of one group lie together by variable in files, then the next
        group follows.
        """
        return ()

    def _slot_start(self, name: str) -> Any:
        """The initializer of a slot."""
        return "zeros"

    def _scalars(self, rate: Any) -> tuple[Any, ...]:
        """What the update is given beside arrays, from the learning rate and the step's number."""
        return (rate,)

    def _options(self) -> dict[str, Any]:
        """What the update is given that does not change from step to step."""
        return {name: getattr(self, name) for name in self._hyperparameters}

    def build(self, variables: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._slots: list[list[Variable]] = []
        for names in self._slot_groups():
            starts = [self._slot_start(name) for name in names]
            self._slots += self.add_optimizer_variables(variables, names, starts)

    def _step_number(self) -> Any:
        """The number of the step that is being made, from 1, as a float."""
        return ops.cast(self.iterations + 1, "float32")

    def _update_variables(self, gradients: Sequence[Any], variables: Sequence[Variable], rate: Any) -> None:
        scalars = self._scalars(ops.cast(rate, "float32"))  # once a step, not once a variable
        for gradient, variable in zip(gradients, variables, strict=True):
            self._step(gradient, variable, scalars)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        self._step(gradient, variable, self._scalars(ops.cast(learning_rate, "float32")))

    def _step(self, gradient: Any, variable: Variable, scalars: tuple[Any, ...]) -> None:
        index, kind = self._get_variable_index(variable), variable.dtype.name
        targets = (variable, *(slot[index] for slot in self._slots))
        numbers = (ops.cast(scalar, kind) for scalar in scalars)
        values = self._update(*targets, ops.cast(gradient, kind), *numbers, **self._options())
        for target, value in zip(targets, values if len(targets) > 1 else (values,), strict=True):
            self.assign(target, value)
