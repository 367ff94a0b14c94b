"""Compiling: how a model is to be trained and judged, what that makes, and how it is written to files."""

from __future__ import annotations

import logging
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from engine import optimizers, tree
from engine.graph.compiled import CompiledFunction
from engine.layers.layer import Layer
from engine.metrics.reduction import Mean
from engine.models.objectives import CompiledLoss, CompiledMetrics
from engine.registry import deserialize, serialize
from engine.variable import Variable, structure_epoch

logger = logging.getLogger("engine")

Logs = dict[str, Any]

_COMPILE_ARGUMENTS = (
    "optimizer",
    "loss",
    "loss_weights",
    "metrics",
    "weighted_metrics",
    "run_eagerly",
    "steps_per_execution",
    "jit_compile",
)


class Compiled:
    """What `compile` made. Kept out of the model's attributes, so that nothing in it counts as the model's own."""

    def __init__(self, arguments: dict[str, Any], loss: CompiledLoss | None, metrics: CompiledMetrics | None) -> None:
        self.arguments = arguments
        self.loss = loss
        self.metrics = metrics
        self.loss_tracker = Mean(name="loss")
        self.functions: dict[Any, CompiledFunction] = {}
        self.ready = False  # metrics are made and the optimizer is built
        self.steps = Variable(np.int32(0), trainable=False, name="steps")  # of a `train_step` of the user's own


class Compilable(Layer):
    """The part of a model that compiles."""

    optimizer: Any
    stop_training: bool

    def _init_trainer(self) -> None:
        """Called by constructors before anything else."""
        self._compiled: Compiled | None = None
        self._predicting: dict[Any, CompiledFunction] = {}
        self._found: dict[str, tuple[Any, Any]] = {}
        self.optimizer = None
        self.stop_training = False

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Says how the model is trained and judged.

        Args:
            optimizer: a name, a config or an optimizer.
            loss: a name, a function `(y_true, y_pred)` or a loss; for several outputs a list in their order or a
                dictionary by their names. None where losses come from `add_loss` alone.
            loss_weights: numbers by output.
            metrics: a list of names, functions or metrics; for several outputs a list or a dictionary of such lists.
            weighted_metrics: the same, but given the sample weights.
            run_eagerly: whether steps run as they are written instead of as plans.
            steps_per_execution, jit_compile, auto_scale_loss: taken for Keras's sake.

        Raises:
            ValueError: something that is no optimizer, loss, weight or metric.
        """
        for weight in tree.flatten(loss_weights):
            if weight is not None and not isinstance(weight, Real):
                raise ValueError(
                    f"loss_weights (the third argument of compile) must be numbers. Received: {loss_weights!r}. "
                    "Metrics are given by name: compile(optimizer, loss, metrics=[…])."
                )
        arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": bool(jit_compile),
        }
        self.optimizer = optimizers.get(optimizer)
        names = getattr(self, "output_names", None)
        compiled_loss = None if loss is None else CompiledLoss(loss, loss_weights, names)
        has_metrics = metrics is not None or weighted_metrics is not None
        compiled_metrics = CompiledMetrics(metrics, weighted_metrics, names) if has_metrics else None
        outputs = self._known_outputs()
        if outputs is not None and compiled_loss is not None:
            compiled_loss.build(outputs)
        self._compiled = Compiled(arguments, compiled_loss, compiled_metrics)
        self._predicting.clear()
        self.loss = loss
        self.stop_training = False

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._compiled is not None

    @property
    def run_eagerly(self) -> bool:
        return bool(self._compiled and self._compiled.arguments["run_eagerly"])

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        compiled = self._need_compiled()
        compiled.arguments["run_eagerly"] = bool(value)
        compiled.functions.clear()
        self._predicting.clear()

    def _known_outputs(self) -> Any:
        """The nest of the model's outputs, None where only a call tells it."""
        return None

    def _need_compiled(self) -> Compiled:
        if self._compiled is None:
            raise ValueError(f"Model {getattr(self, 'name', '')!r}: call compile() before training or evaluating.")
        return self._compiled

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile`; empty where it was not called, or where they cannot be saved."""
        if self._compiled is None:
            return {}
        try:
            return {
                **{name: serialize(value) for name, value in self._compiled.arguments.items()},
                "optimizer": serialize(self.optimizer),
            }
        except (TypeError, ValueError) as error:
            logger.warning("The arguments of compile() cannot be saved and are left out: %s", error)
            return {}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as `get_compile_config` says, and builds the optimizer where the model is built."""
        if not config:
            return
        known = {name: config[name] for name in _COMPILE_ARGUMENTS if name in config}
        self.compile(**{name: deserialize(value) for name, value in known.items()})
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    # Metrics ----------------------------------------------------------------------------------------------------------

    @property
    def metrics(self) -> list[Any]:
        """The loss's mean, the compiled metrics, the outputs' losses, and the metrics of layers."""
        own: list[Any] = []
        if self._compiled is not None:
            own.append(self._compiled.loss_tracker)
            if self._compiled.metrics is not None:
                own.append(self._compiled.metrics)
            if self._compiled.loss is not None:
                own += self._compiled.loss.metrics
        return own + self._unchanged("metrics", lambda: super(Compilable, self).metrics)

    def _unchanged(self, name: str, find: Callable[[], Any]) -> Any:
        """What `find` gives, found anew only after layers or variables came, went or changed owners."""
        # Lists that grow in place say nothing; those of the model itself are looked at.
        lengths = sum(len(value) for value in vars(self).values() if isinstance(value, (list, dict)))
        state = structure_epoch.count, lengths
        known = self._found.get(name)
        if known is None or known[0] != state:
            known = self._found[name] = state, find()
        return known[1]

    @property
    def metrics_names(self) -> list[str]:
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Sets all metrics to their beginning."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> Logs:
        """The metrics' values as tensors, by name."""
        results: Logs = {}
        for metric in self.metrics:
            value = metric.result()
            results.update(value if isinstance(value, dict) else {metric.name: value})
        return results

    def _read_logs(self) -> Logs:
        return sorted_numbers(self.get_metrics_result())


def sorted_numbers(values: Logs) -> Logs:
    """Values for logs: numbers by name, in the order of names; dictionaries among them are gone through."""
    numbers: Logs = {}
    for name in sorted(values):
        if isinstance(values[name], dict):
            numbers.update(sorted_numbers(values[name]))
        else:
            array = np.asarray(values[name])
            numbers[name] = float(array) if array.ndim == 0 else array
    return numbers
