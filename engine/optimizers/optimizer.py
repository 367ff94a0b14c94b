"""What an optimizer is: the counter, the learning rate, the slots, and the order in which a step goes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from engine import ops
from engine.naming import auto_name
from engine.optimizers.clipping import clipped
from engine.optimizers.options import CommonOptions
from engine.optimizers.schedules import LearningRateSchedule
from engine.optimizers.state import OptimizerState
from engine.registry import deserialize, registered, serialize
from engine.scopes import current_graph
from engine.tensor import CaptureError
from engine.variable import Variable

logger = logging.getLogger("engine")


@registered("keras.optimizers")
class Optimizer(OptimizerState):
    """Base of optimizers; subclasses define `build` (slots) and `update_step(gradient, variable, learning_rate)`.

    Args:
        learning_rate: a number, a `LearningRateSchedule`, or a function without arguments (then without a plan).
        weight_decay: share of each variable, times the learning rate, that is taken off it before every step.
        clipnorm, clipvalue, global_clipnorm: see `clipping.clipped`; one at most.
        use_ema: whether to keep exponential moving averages of the variables.
        ema_momentum: of these averages.
        ema_overwrite_frequency: after how many steps variables are set to their averages; None: at the end of `fit`.
        loss_scale_factor: the loss is multiplied by it and the gradients divided.
        gradient_accumulation_steps: gradients of so many steps are averaged before variables are updated.
        name: default: the class's name in snake case.

    `variables` lists the counter, the learning rate, then averages, accumulators and slots: Keras's order, on which
    files depend. A step given to a plan runs through the same code over symbols.
    """

    # The attributes that a class's config holds beside the common ones.
    _hyperparameters: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs:
            raise ValueError(f"{type(self).__name__}: unknown arguments {', '.join(sorted(kwargs))}.")
        if sum(item is not None for item in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                "Only one of clipnorm, clipvalue and global_clipnorm can be set. "
                f"Received: clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}"
            )
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ValueError(f"ema_momentum must lie in 0..1. Received: {ema_momentum}")
        for label, count in (
            ("ema_overwrite_frequency", ema_overwrite_frequency if use_ema else None),
            ("gradient_accumulation_steps", gradient_accumulation_steps),
        ):
            least = 2 if label == "gradient_accumulation_steps" else 1
            if count is not None and (not isinstance(count, int) or count < least):
                raise ValueError(f"{label} must be an integer of at least {least}, or None. Received: {count!r}")
        super().__init__(name or auto_name(type(self).__name__))
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._trainable_variables: list[Variable] = []
        self._index: dict[int, int] = {}
        self._undecayed: set[int] = set()
        self._undecayed_names: tuple[str, ...] = ()
        self._iterations = self._own(Variable(np.int32(0), trainable=False, name="iteration"))
        self._learning_rate: Any
        if isinstance(learning_rate, LearningRateSchedule):
            self._learning_rate = learning_rate
        elif isinstance(learning_rate, (int, float, np.number)):
            value = np.float32(learning_rate)
            self._learning_rate = self._own(Variable(value, trainable=False, name="learning_rate"))
        elif callable(learning_rate):
            self._learning_rate = learning_rate
        else:
            raise ValueError(
                f"learning_rate must be a number, a LearningRateSchedule or a function. Received: {learning_rate!r}"
            )

    # State ------------------------------------------------------------------------------------------------------------

    @property
    def iterations(self) -> Any:
        """How many updates were made: the counter, or its quotient where gradients are accumulated."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, self.gradient_accumulation_steps)
        return self._iterations

    @property
    def step_counter(self) -> Variable:
        """The variable that counts calls of `apply`, accumulated ones included."""
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The variable, or the schedule's value at the present step."""
        return self._current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, LearningRateSchedule) or (callable(value) and not isinstance(value, Variable)):
            if isinstance(self._learning_rate, Variable) and self.built:
                # Files list variables by position: the learning rate keeps its place once slots follow it.
                raise TypeError("A schedule cannot replace the learning rate of an optimizer that is in use.")
            self._variables = [item for item in self._variables if item is not self._learning_rate]
            self._learning_rate = value
        elif not isinstance(self._learning_rate, Variable):
            raise TypeError(
                "The learning rate of this optimizer follows a schedule and cannot be set. "
                "Create the optimizer with a number to be able to set it."
            )
        else:
            self._learning_rate.assign(value)

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes averages and accumulators for the variables that will be trained; subclasses add their slots."""
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulators = self.add_optimizer_variables(variables, "gradient_accumulator")
        self._trainable_variables = list(variables)
        self._index = {id(variable): index for index, variable in enumerate(variables)}
        self.built = True

    def _get_variable_index(self, variable: Variable) -> int:
        return self._index[id(variable)]

    # A step -----------------------------------------------------------------------------------------------------------

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """One step from pairs of gradient and variable; returns the number of updates made."""
        gradients, variables = zip(*grads_and_vars, strict=True)
        self.apply(list(gradients), list(variables))
        return self.iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """One step: decay, clipping, the update itself, constraints, averages, and the counter.

        Args:
            grads: gradients, None for a variable that has none.
            trainable_variables: the variables; default: those that the optimizer was built for.

        Raises:
            ValueError: no gradient at all, or a variable that the optimizer was not built for.
        """
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        variables = list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(f"Received {len(grads)} gradients for {len(variables)} variables.")
        if not variables:
            return
        if not self.built:
            self.build(variables)
        for variable in variables:
            if id(variable) not in self._index:
                raise ValueError(
                    f"Unknown variable {variable.path!r}: optimizer {self.name!r} was built for other variables. "
                    "Use a new optimizer for new variables."
                )
        pairs = self._with_gradient(grads, variables)
        gradients = [ops.convert_to_tensor(gradient) for gradient, _ in pairs]
        variables = [variable for _, variable in pairs]
        if self.loss_scale_factor is not None:
            gradients = [gradient / self.loss_scale_factor for gradient in gradients]
        if self.gradient_accumulation_steps:
            gradients = self._accumulate(gradients, variables)
        gradients = clipped(gradients, self.clipnorm, self.clipvalue, self.global_clipnorm)
        rate = self._current_learning_rate()
        try:
            self._decay(variables, rate)
            self._update_variables(gradients, variables, rate)
            for variable in variables:
                if variable.constraint is not None:
                    self.assign(variable, variable.constraint(variable))
            if self.use_ema:
                self._average(variables)
        finally:
            self._condition = None
        self._iterations.assign_add(1)

    def _with_gradient(self, gradients: Sequence[Any], variables: Sequence[Variable]) -> list[tuple[Any, Variable]]:
        pairs = [
            (gradient, variable)
            for gradient, variable in zip(gradients, variables, strict=True)
            if gradient is not None
        ]
        if not pairs:
            raise ValueError("No variable has a gradient: the loss does not depend on any of them.")
        if len(pairs) < len(variables):
            known = {id(variable) for _, variable in pairs}
            missing = [variable.path for variable in variables if id(variable) not in known]
            logger.warning("The loss does not depend on %s: left as they are.", ", ".join(missing))
        return pairs

    def _accumulate(self, gradients: list[Any], variables: list[Variable]) -> list[Any]:
        steps = self.gradient_accumulation_steps
        assert steps is not None
        last = ops.equal(ops.mod(self._iterations + 1, steps), 0)
        means = []
        for gradient, variable in zip(gradients, variables, strict=True):
            accumulator = self._accumulators[self._get_variable_index(variable)]
            total = accumulator + gradient
            means.append(total / steps)
            accumulator.assign(ops.where(last, 0.0, total))
        self._condition = last
        return means

    def _decay(self, variables: Sequence[Variable], rate: Any) -> None:
        if not self.weight_decay:
            return
        for variable in variables:
            if not self._is_undecayed(variable):
                share = ops.cast(rate, variable.dtype.name) * self.weight_decay
                self.assign_sub(variable, variable * share)

    def _is_undecayed(self, variable: Variable) -> bool:
        return id(variable) in self._undecayed or any(name in variable.path for name in self._undecayed_names)

    def exclude_from_weight_decay(
        self, var_list: Sequence[Variable] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Keeps variables from decay: those in `var_list`, and those whose path holds one of `var_names`.

        Raises:
            ValueError: the optimizer is built already.
        """
        if self.built:
            raise ValueError("exclude_from_weight_decay() must be called before the optimizer is built.")
        self._undecayed.update(id(variable) for variable in var_list or ())
        self._undecayed_names = tuple(var_names or ())

    def _update_variables(self, gradients: Sequence[Any], variables: Sequence[Variable], rate: Any) -> None:
        for gradient, variable in zip(gradients, variables, strict=True):
            self.update_step(gradient, variable, rate)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Updates one variable and its slots, through `assign`, `assign_add` and `assign_sub`."""
        raise NotImplementedError(f"{type(self).__name__} defines no update_step().")

    def _average(self, variables: Sequence[Variable]) -> None:
        overwrite = None
        if self.ema_overwrite_frequency:
            overwrite = ops.equal(ops.mod(self.iterations + 1, self.ema_overwrite_frequency), 0)
        # The first average is the variable itself.
        momentum = ops.where(ops.equal(self.iterations, 0), 0.0, self.ema_momentum)
        for variable in variables:
            average = self._averages[self._get_variable_index(variable)]
            value = momentum * average + (1.0 - momentum) * variable
            self.assign(average, value)
            if overwrite is not None:
                self.assign(variable, ops.where(overwrite, value, variable))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Sets variables to their moving averages, where those are kept. `fit` calls it at its end."""
        if self.use_ema:
            for variable in var_list:
                variable.assign(self._averages[self._get_variable_index(variable)])

    def scale_loss(self, loss: Any) -> Any:
        """The loss whose gradients `apply` expects: times `loss_scale_factor`."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def _current_learning_rate(self) -> Any:
        rate = self._learning_rate
        if isinstance(rate, Variable):
            return rate
        if isinstance(rate, LearningRateSchedule):
            return rate(self.iterations)
        if current_graph() is not None:
            raise CaptureError("The learning rate is a Python function, to be called at every step.")
        return rate()

    # Files ------------------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        rate = self._learning_rate
        return {
            "learning_rate": float(rate.numpy()) if isinstance(rate, Variable) else serialize(rate),
            **{name: getattr(self, name) for name in (*CommonOptions.__annotations__, *self._hyperparameters)},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Optimizer:
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = deserialize(config["learning_rate"], custom_objects)
        return cls(**config)
