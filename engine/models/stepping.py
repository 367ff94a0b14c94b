"""Training steps: one step of training, judging or predicting as a function of a batch.

A whole step (forward, loss, gradients, update, moving statistics, metrics) is one function, given to
`CompiledFunction`, which runs it as a plan. Python reads the metrics only where somebody looks at them.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engine import tree
from engine.graph.capture import infer_outputs
from engine.graph.compiled import CompiledFunction
from engine.models.compiling import Compilable, Logs
from engine.models.data_adapters import Batch
from engine.primitives.primitive import Spec
from engine.random import step_scope
from engine.tape import Tape
from engine.tensor import CaptureError
from engine.utils.packing import pack_x_y_sample_weight, unpack_x_y_sample_weight
from engine.variable import Variable

logger = logging.getLogger("engine")


class Stepping(Compilable):
    """The part of a model that makes steps; `Trainer` adds the loops.

    `train_step`, `test_step`, `predict_step`, `compute_loss` and `compute_metrics` may be overridden. Whatever they
    do is captured into a plan; where Python in them looks at values it runs as it is written, with one log line.
    """

    history: Any

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
        """One step on a batch; returns values for the logs. May be overridden.

        Args:
            data: `(x, y, sample_weight)`, `(x, y)` or `x`, as `engine.utils.unpack_x_y_sample_weight` takes it.
        """
        logs = self._train(*unpack_x_y_sample_weight(data))
        return self.get_metrics_result() if logs is None else logs

    def test_step(self, data: Any) -> Logs:
        """The judgement of a batch, given as to `train_step`; returns values for the logs. May be overridden."""
        logs = self._test(*unpack_x_y_sample_weight(data))
        return self.get_metrics_result() if logs is None else logs

    def predict_step(self, data: Any) -> Any:
        """The outputs for a batch, given as to `train_step`. May be overridden."""
        return self._forward(unpack_x_y_sample_weight(data)[0], training=False)

    def predicted(self, x: Any) -> Any:
        """What `predict` gives for one batch: the outputs of `predict_step` for a nest of values."""
        return self.predict_step(pack_x_y_sample_weight(x))

    def _train(self, x: Any, y: Any, sample_weight: Any) -> Logs | None:
        if self.optimizer is None:
            raise ValueError(f"Model {self.name!r} was compiled without an optimizer and cannot be trained.")
        with Tape() as tape:
            y_pred = self._forward(x, training=True)
            loss = self._loss_of(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        if variables:
            self.optimizer.apply(tape.gradient(scaled, variables), variables)
        return self._noted(loss, x, y, y_pred, sample_weight)

    def _test(self, x: Any, y: Any, sample_weight: Any) -> Logs | None:
        y_pred = self._forward(x, training=False)
        loss = self._loss_of(x, y, y_pred, sample_weight, training=False)
        return self._noted(loss, x, y, y_pred, sample_weight)

    def _loss_of(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        batch = {"x": x, "y": y, "y_pred": y_pred, "sample_weight": sample_weight}
        if self._overrides("compute_loss") and "training" not in inspect.signature(self.compute_loss).parameters:
            return self.compute_loss(**batch)  # overridden as it was before Keras 3.3
        return self.compute_loss(**batch, training=training)

    def _noted(self, loss: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Logs | None:
        """Adds a batch to all metrics. Returns None where their values can be read from them at any time."""
        self._need_compiled().loss_tracker.update_state(loss, sample_weight=_rows(x))
        if self._overrides("compute_metrics"):
            return self.compute_metrics(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        self._update_metrics(y, y_pred, sample_weight)
        return None

    def _overrides(self, name: str) -> bool:
        """Whether a method of this class is not the one defined here."""
        return getattr(type(self), name) is not getattr(Stepping, name)

    def _function(self, kind: str) -> CompiledFunction:
        """The compiled step of a kind: "train", "test" or "predict"."""
        frozen = self._unchanged("trained", self._trained) if kind == "train" else ()
        functions = self._predicting if kind == "predict" else self._need_compiled().functions
        function = functions.get((kind, frozen))
        if function is None:
            function = CompiledFunction(self._step_function(kind), name=f"{kind} step of {self.name!r}")
            function.eager = self.run_eagerly
            functions[kind, frozen] = function
        return function

    def _trained(self) -> tuple[Any, ...]:
        """What a training step is captured for: the trained variables, and the layers that know they are frozen."""
        return tuple(map(id, self.trainable_variables)), tuple(layer.trainable for layer in self._flatten_layers())

    def _step_function(self, kind: str) -> Callable[..., Any]:
        own = self._overrides(f"{kind}_step")

        def train(x: Any, y: Any, sample_weight: Any) -> Any:
            counter = self._step_counter(own)
            with step_scope(counter):
                if not own:
                    return self._train(x, y, sample_weight)
                logs = _checked_logs("train_step", self.train_step(pack_x_y_sample_weight(x, y, sample_weight)))
            counter.assign_add(1)
            return logs

        def test(x: Any, y: Any, sample_weight: Any) -> Any:
            if own:
                return _checked_logs("test_step", self.test_step(pack_x_y_sample_weight(x, y, sample_weight)))
            return self._test(x, y, sample_weight)

        chosen: dict[str, Callable[..., Any]] = {"train": train, "test": test, "predict": self.predicted}

        def step(*batch: Any) -> Any:
            try:
                return chosen[kind](*batch)
            finally:
                self._clear_losses()

        return step

    def _step_counter(self, own: bool) -> Variable:
        """What random draws depend on: the optimizer's counter, which a `train_step` of one's own may not use."""
        if own or self.optimizer is None:
            return self._need_compiled().steps
        return self.optimizer.step_counter

    def _prepare(self, batch: Batch, training: bool) -> None:
        """Before the first step of an epoch: builds what is not built, from the shapes of a batch."""
        compiled = self._need_compiled()
        if self._overrides("train_step" if training else "test_step"):
            # Nobody knows how it calls the model, nor with which optimizers: it builds them as it goes.
            done = getattr(self.optimizer, "step_counter", None)
            if training and done is not None and int(done) > int(compiled.steps):
                compiled.steps.assign(done)
            return
        if compiled.ready and (not training or self.optimizer is None or self.optimizer.built):
            return
        x, y, _ = batch
        outputs = self._infer(x)
        if compiled.loss is not None:
            compiled.loss.build(outputs)
        if compiled.metrics is not None:
            compiled.metrics.build(y, outputs)
        compiled.ready = True
        if training and self.optimizer is not None and not self.optimizer.built and self.trainable_variables:
            self.optimizer.build(self.trainable_variables)

    def _check_labels(self, kind: str, batch: Batch) -> None:
        """Raises ValueError where class numbers are none of the classes; a plan could not say so."""
        loss = self._need_compiled().loss
        if loss is not None and not self._overrides(f"{kind}_step") and not self._overrides("compute_loss"):
            loss.check_labels(batch[1])

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


def _checked_logs(name: str, logs: Any) -> Any:
    """What a step of one's own returned; raises TypeError where it is no dict."""
    if not isinstance(logs, Mapping):
        raise TypeError(f"{name} must return a dict of names to values. Received: {logs!r}")
    return logs


def _rows(x: Any) -> int:
    return int(next(leaf.shape[0] for leaf in tree.flatten(x) if leaf is not None))


def _map_specs(structure: Any) -> Any:
    """Arrays without memory in place of specs."""
    if isinstance(structure, Spec):
        return np.broadcast_to(np.empty((), structure.dtype), structure.shape)
    if isinstance(structure, dict):
        return {key: _map_specs(value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [_map_specs(item) for item in structure]
    return structure
