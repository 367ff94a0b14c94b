"""Training steps: what `compile` sets up, and one step of training, judging or predicting as a function of a batch.

A whole step (forward, loss, gradients, update, moving statistics, metrics) is one function, given to
`CompiledFunction`, which runs it as a plan. Python reads the metrics only where somebody looks at them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from engine import optimizers, tree
from engine.graph.capture import infer_outputs
from engine.graph.compiled import CompiledFunction
from engine.layers.layer import Layer
from engine.metrics.reduction import Mean
from engine.models.data_adapters import Batch
from engine.models.objectives import CompiledLoss, CompiledMetrics
from engine.primitives.primitive import Spec
from engine.random import step_scope
from engine.registry import deserialize, serialize
from engine.tape import Tape
from engine.tensor import CaptureError

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


class _Compiled:
    """What `compile` made. Kept out of the model's attributes, so that nothing in it counts as the model's own."""

    def __init__(self, arguments: dict[str, Any], loss: CompiledLoss | None, metrics: CompiledMetrics | None) -> None:
        self.arguments = arguments
        self.loss = loss
        self.metrics = metrics
        self.loss_tracker = Mean(name="loss")
        self.functions: dict[Any, CompiledFunction] = {}
        self.ready = False  # metrics are made and the optimizer is built


class Stepping(Layer):
    """The part of a model that compiles and makes steps; `Trainer` adds the loops."""

    optimizer: Any
    stop_training: bool
    history: Any

    def _init_trainer(self) -> None:
        """Called by constructors before anything else."""
        self._compiled: _Compiled | None = None
        self._predicting: dict[Any, CompiledFunction] = {}
        self.optimizer = None
        self.stop_training = False

    # Compiling --------------------------------------------------------------------------------------------------------

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
            ValueError: something that is no optimizer, loss or metric.
        """
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
        self._compiled = _Compiled(arguments, compiled_loss, compiled_metrics)
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

    def _need_compiled(self) -> _Compiled:
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
        return own + super().metrics

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
            named = metric.named if isinstance(metric, CompiledMetrics) else [(metric.name, metric)]
            for name, item in named:
                value = item.result()
                results.update(value if isinstance(value, dict) else {name: value})
        return results

    def _read_logs(self) -> Logs:
        values = self.get_metrics_result()
        return {name: _number(values[name]) for name in sorted(values)}

    # A step -----------------------------------------------------------------------------------------------------------

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The scalar loss of a batch: compiled losses, regularizers, and what layers added. May be overridden.

        Raises:
            ValueError: there is no loss at all.
        """
        compiled = self._need_compiled()
        total = None if compiled.loss is None else compiled.loss(y, y_pred, sample_weight)
        for loss in self.losses:
            total = loss if total is None else total + loss
        if total is None:
            raise ValueError(
                f"Model {self.name!r} has no loss: give one to compile(), or add one with add_loss() in call()."
            )
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Logs:
        """Adds a batch to the compiled metrics; returns all metrics' values. May be overridden."""
        self._update_metrics(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _update_metrics(self, y: Any, y_pred: Any, sample_weight: Any) -> None:
        compiled = self._need_compiled()
        if compiled.metrics is not None and y is not None:
            compiled.metrics.update_state(y, y_pred, sample_weight)

    def _forward(self, x: Any, training: bool) -> Any:
        if self._call_signature.takes_training:
            return self(x, training=training)
        return self(x)

    def train_step(self, data: Any) -> Logs:
        """One step on a batch `(x, y, sample_weight)`; returns values for the logs. May be overridden."""
        self._train(*data)
        return self.get_metrics_result()

    def test_step(self, data: Any) -> Logs:
        """The judgement of a batch `(x, y, sample_weight)`; returns values for the logs. May be overridden."""
        self._test(*data)
        return self.get_metrics_result()

    def predict_step(self, data: Any) -> Any:
        """The outputs for a batch `(x,)`. May be overridden."""
        return self._forward(data[0], training=False)

    def _train(self, x: Any, y: Any, sample_weight: Any) -> None:
        compiled = self._need_compiled()
        with Tape() as tape:
            y_pred = self._forward(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        if variables:
            self.optimizer.apply(tape.gradient(scaled, variables), variables)
        compiled.loss_tracker.update_state(loss, sample_weight=_rows(x))
        self._update_metrics(y, y_pred, sample_weight)

    def _test(self, x: Any, y: Any, sample_weight: Any) -> None:
        compiled = self._need_compiled()
        y_pred = self._forward(x, training=False)
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False)
        compiled.loss_tracker.update_state(loss, sample_weight=_rows(x))
        self._update_metrics(y, y_pred, sample_weight)

    def _function(self, kind: str) -> CompiledFunction:
        """The compiled step of a kind: "train", "test" or "predict"."""
        frozen = tuple(id(variable) for variable in self.trainable_variables) if kind == "train" else ()
        functions = self._predicting if kind == "predict" else self._need_compiled().functions
        function = functions.get((kind, frozen))
        if function is None:
            function = CompiledFunction(self._step_function(kind), name=f"{kind} step of {self.name!r}")
            function.eager = self.run_eagerly
            functions[kind, frozen] = function
        return function

    def _step_function(self, kind: str) -> Callable[..., Any]:
        if kind == "predict":

            def predict(x: Any) -> Any:
                return self.predict_step((x,))

            return predict
        name = f"{kind}_step"
        overridden = getattr(type(self), name) is not getattr(Stepping, name)

        def step(x: Any, y: Any, sample_weight: Any) -> Any:
            try:
                if kind == "train":
                    with step_scope(self.optimizer.step_counter):
                        return (
                            self.train_step((x, y, sample_weight)) if overridden else self._train(x, y, sample_weight)
                        )
                return self.test_step((x, y, sample_weight)) if overridden else self._test(x, y, sample_weight)
            finally:
                self._clear_losses()

        return step

    def _prepare(self, batch: Batch, training: bool) -> None:
        """Before the first step: builds what is not built, from the shapes of a batch."""
        compiled = self._need_compiled()
        if compiled.ready and (not training or self.optimizer is None or self.optimizer.built):
            return
        x, y, _ = batch
        outputs = self._infer(x)
        if compiled.loss is not None:
            compiled.loss.build(outputs)
        if compiled.metrics is not None:
            compiled.metrics.build(y, outputs)
        compiled.ready = True
        if training:
            if self.optimizer is None:
                raise ValueError(f"Model {self.name!r} was compiled without an optimizer and cannot be trained.")
            if not self.optimizer.built and self.trainable_variables:
                self.optimizer.build(self.trainable_variables)

    def _infer(self, x: Any) -> Any:
        """Shapes and dtypes of the outputs for a batch, as arrays without memory. Builds the model."""
        specs = tree.map_structure(lambda leaf: None if leaf is None else Spec(leaf.shape, leaf.dtype), x)
        try:
            outputs = infer_outputs(lambda item: self._forward(item, training=False), specs)
            return _map_specs(outputs)
        except CaptureError:  # its Python depends on data
            return self._forward(x, training=False)
        finally:
            self._clear_losses()


def _rows(x: Any) -> int:
    return int(next(leaf.shape[0] for leaf in tree.flatten(x) if leaf is not None))


def _number(value: Any) -> Any:
    array = np.asarray(value)
    return float(array) if array.ndim == 0 else array


def sorted_numbers(values: Logs) -> Logs:
    return {name: _number(values[name]) for name in sorted(values)}


def _map_specs(structure: Any) -> Any:
    """Arrays without memory in place of specs."""
    if isinstance(structure, Spec):
        return np.broadcast_to(np.empty((), structure.dtype), structure.shape)
    if isinstance(structure, dict):
        return {key: _map_specs(value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [_map_specs(item) for item in structure]
    return structure
