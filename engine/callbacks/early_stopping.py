"""EarlyStopping: ends training when a value stops getting better."""

from __future__ import annotations

from typing import Any

from engine.callbacks.monitor import MonitorCallback


class EarlyStopping(MonitorCallback):
    """Stops after `patience` epochs without an improvement.

    Args:
        monitor, min_delta, mode: see `MonitorCallback`.
        patience: epochs to wait.
        verbose: 1: say so.
        baseline: a value to beat; epochs that do not count as waiting even if they improve.
        restore_best_weights: whether the model gets the weights of its best epoch, also where `fit` ends by itself.
        start_from_epoch: epochs before it are not looked at.

    Attributes:
        stopped_epoch: where it stopped, 0 if it did not.
        best_epoch, best: the best epoch and its value.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.wait = 0
        self.stopped_epoch = 0
        self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.forget()
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        value = self.monitored(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.is_improvement(value):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._beats_baseline(value):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _beats_baseline(self, value: float) -> bool:
        assert self.baseline is not None
        difference = value - self.baseline
        return (difference if self._rising() else -difference) > self.min_delta

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
