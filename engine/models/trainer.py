"""Trainer: `fit`, `evaluate`, `predict`: the loops over batches around a model's steps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from engine import tree
from engine.callbacks.callback_list import CallbackList
from engine.callbacks.history import History
from engine.graph.compiled import CompiledFunction
from engine.models.compiling import Logs, sorted_numbers
from engine.models.data_adapters import (
    ArrayAdapter,
    Batch,
    DataAdapter,
    EpochSource,
    as_arrays,
    data_adapter,
    split,
    weighted_by_class,
)
from engine.models.objectives import CompiledMetrics
from engine.models.stepping import Stepping
from engine.random import global_seed_generator
from engine.variable import Variable

logger = logging.getLogger("engine")


class Trainer(Stepping):
    """The part of a model that goes through data."""

    # Loops ------------------------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> History:
        """Trains for `epochs - initial_epoch` epochs.

        Args:
            x: arrays (a nest of them for several inputs), a generator or iterable of batches, or a `PyDataset`.
            y: targets; arrays, as `x` has them.
            batch_size: rows a batch, 32 by default; for arrays.
            epochs: the number of the last epoch.
            verbose: 0: silent, 1: a bar, 2: a line an epoch; "auto": 1.
            callbacks: see `engine.callbacks`.
            validation_split: the share of rows, taken from the end, that is kept for validation.
            validation_data: `(x, y)`, `(x, y, sample_weight)` or another source of batches.
            shuffle: rows in an order that is a function of (seed, step); "batch": batches.
            class_weight: the weight of a sample by its class number.
            sample_weight: the weight of each sample.
            initial_epoch: the number of the first epoch, from 0.
            steps_per_epoch, validation_steps: batches an epoch; default: all there are.
            validation_batch_size: default: `batch_size`.
            validation_freq: validate every so many epochs, or in a list of epochs (from 1).

        Returns:
            The `History`.

        Raises:
            ValueError: not compiled, arrays of different lengths, shapes that do not fit.
        """
        self._need_compiled()
        self.stop_training = False
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split(as_arrays(x, y, sample_weight), validation_split)
        adapter = data_adapter(x, y, sample_weight, batch_size, shuffle, class_weight)
        judge = self._validation_adapter(validation_data, validation_batch_size or batch_size)
        steps = steps_per_epoch if steps_per_epoch is not None else adapter.steps
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(
                callbacks,
                add_history=True,
                add_progbar=verbose != 0,
                model=self,
                verbose=1 if verbose == "auto" else verbose,
                epochs=epochs,
                steps=steps,
                validates=judge is not None,
            )
        callbacks.on_train_begin()
        source = EpochSource(adapter, steps_per_epoch)
        logs: Logs = {}
        for epoch in range(initial_epoch, epochs):
            self.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            count = self._go_through(source, "train", callbacks.on_train_batch_begin, callbacks.on_train_batch_end)
            if count == 0 and epoch > initial_epoch:
                logger.warning(
                    "The source of batches had none left for epoch %d of %d: training ends.", epoch + 1, epochs
                )
                break
            if count == 0:
                raise ValueError("There was nothing to train on: the source gave no batch.")
            logs = self._last_logs("train")
            if judge is not None and _validates(epoch, validation_freq):
                values = self._judge(judge, validation_steps, callbacks)
                if values is None:
                    if epoch == initial_epoch:
                        raise ValueError("There was nothing to validate on: the source gave no batch.")
                    logger.warning("The source of validation batches had none left for epoch %d.", epoch + 1)
                    judge = None
                logs = {**logs, **{f"val_{name}": value for name, value in (values or {}).items()}}
            callbacks.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        if self.optimizer is not None and self.optimizer.built:
            self.optimizer.finalize_variable_values(self.trainable_variables)
        callbacks.on_train_end(logs)
        return self.history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics on data, without training.

        Returns:
            A list of values in the order of the metrics (the loss alone as a number), or a dictionary by name.
        """
        self._need_compiled()
        adapter = data_adapter(x, y, sample_weight, batch_size)
        if not isinstance(callbacks, CallbackList):
            callbacks = self._loop_callbacks(callbacks, verbose, steps or adapter.steps)
        logs = self._judge(adapter, steps, callbacks)
        if logs is None:
            raise ValueError("There was nothing to evaluate: the source gave no batch.")
        return logs if return_dict else self._in_order(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for data, a nest of NumPy arrays, batch by batch (32 rows by default)."""
        adapter = data_adapter(x, batch_size=batch_size)
        if not isinstance(callbacks, CallbackList):
            callbacks = self._loop_callbacks(callbacks, verbose, steps or adapter.steps)
        function = self._function("predict")
        results: list[Any] = []
        callbacks.on_predict_begin()
        for number, (part, _, _) in enumerate(EpochSource(adapter, steps).epoch((0, 0))):
            callbacks.on_predict_batch_begin(number)
            results.append(function(part))
            callbacks.on_predict_batch_end(number, {"outputs": results[-1]})
        callbacks.on_predict_end()
        if not results:
            raise ValueError("There was nothing to predict: the source gave no batch.")
        return tree.map_structure(lambda *leaves: leaves[0] if len(leaves) == 1 else np.concatenate(leaves), *results)

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One step; returns values as `evaluate` does. Metrics go on from call to call (see `reset_metrics`)."""
        if class_weight is not None and sample_weight is not None:
            raise ValueError("Only one of sample_weight and class_weight can be given.")
        batch = weighted_by_class(*self._single(x, y, sample_weight), class_weight)
        return self._on_batch("train", batch, return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The judgement of one batch; returns values as `evaluate` does."""
        return self._on_batch("test", self._single(x, y, sample_weight), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, a nest of NumPy arrays."""
        (part, _, _) = self._single(x, None, None)
        return self._function("predict")(part)

    def _single(self, x: Any, y: Any, sample_weight: Any) -> Batch:
        adapter = ArrayAdapter(x, y, sample_weight)
        adapter.batch_size, adapter.steps = adapter.rows, 1
        return next(adapter.epoch((0, 0)))

    def _on_batch(self, kind: str, batch: Batch, return_dict: bool) -> Any:
        self._prepare(batch, training=kind == "train")
        self._check_labels(kind, batch)
        result = self._function(kind)(*batch)
        logs = self._read_logs() if result is None else sorted_numbers(result)
        return logs if return_dict else self._in_order(logs)

    def _judge(self, adapter: DataAdapter, steps: int | None, callbacks: CallbackList) -> Logs | None:
        """Goes through data without training; None where there is none."""
        self.reset_metrics()
        callbacks.on_test_begin()
        source = EpochSource(adapter, steps)
        count = self._go_through(source, "test", callbacks.on_test_batch_begin, callbacks.on_test_batch_end)
        logs = self._last_logs("test") if count else None
        callbacks.on_test_end(logs)
        return logs

    def _go_through(self, source: EpochSource, kind: str, begin: Callable[..., None], end: Callable[..., None]) -> int:
        """Goes through an epoch's batches; returns how many there were."""
        training = kind == "train"
        self._results: Any = None
        function: CompiledFunction | None = None
        number = -1
        for number, batch in enumerate(source.epoch(self._order_key() if training else (0, 0))):
            if function is None:
                self._prepare(batch, training)
                function = self._function(kind)
            self._check_labels(kind, batch)
            begin(number)
            self._results = function(*batch)
            end(number, self._last_logs_of(kind))
            if training and self.stop_training:
                break
        return number + 1

    def _last_logs_of(self, kind: str) -> Callable[[], Logs]:
        return lambda: self._last_logs(kind)

    def _last_logs(self, kind: str) -> Logs:
        return self._read_logs() if self._results is None else sorted_numbers(self._results)

    def _order_key(self) -> tuple[int, int]:
        """What decides the order of rows: the program's seed and the step at which the epoch begins."""
        seed = int(global_seed_generator().state.array[0])
        counter = getattr(self.optimizer, "step_counter", None)
        return seed, int(counter.array) if isinstance(counter, Variable) else 0

    def _validation_adapter(self, data: Any, batch_size: int | None) -> DataAdapter | None:
        if data is None:
            return None
        if isinstance(data, (tuple, list)):
            if not 1 <= len(data) <= 3:
                raise ValueError(
                    f"validation_data must be (x, y) or (x, y, sample_weight). Received: {len(data)} parts"
                )
            x, y, sample_weight = (*data, None, None)[:3]
            return data_adapter(x, y, sample_weight, batch_size)
        return data_adapter(data, batch_size=batch_size)

    def _loop_callbacks(self, callbacks: Any, verbose: str | int, steps: int | None) -> CallbackList:
        number = 1 if verbose == "auto" else verbose
        return CallbackList(callbacks, add_progbar=number != 0, model=self, verbose=number, epochs=1, steps=steps)

    def _in_order(self, logs: Logs) -> Any:
        names: list[str] = []
        for metric in self.metrics:
            names += [item.name for item in metric.metrics] if isinstance(metric, CompiledMetrics) else [metric.name]
        values = [logs[name] for name in names if name in logs]
        values += [logs[name] for name in sorted(logs) if name not in names]
        return values[0] if len(values) == 1 else values


def _validates(epoch: int, frequency: Any) -> bool:
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    return epoch + 1 in frequency
