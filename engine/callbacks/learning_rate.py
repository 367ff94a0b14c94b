"""Callbacks that set the learning rate: by a schedule, and when a value stops getting better."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from engine.callbacks.callback import Callback
from engine.callbacks.monitor import MonitorCallback


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of every epoch.

    Args:
        schedule: (epoch, learning rate) -> learning rate; one that takes the epoch alone will do.
        verbose: 1: say so.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        present = float(self.model.optimizer.learning_rate)
        try:
            rate = self.schedule(epoch, present)
        except TypeError:
            rate = self.schedule(epoch)
        try:
            number = float(rate)
        except (TypeError, ValueError):
            raise ValueError(f"LearningRateScheduler: the schedule must return a number. Received: {rate!r}") from None
        self.model.optimizer.learning_rate = number
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {number}.")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` after `patience` epochs without an improvement.

    Args:
        monitor, mode, min_delta: see `MonitorCallback`.
        factor: below 1.
        patience: epochs to wait.
        verbose: 1: say so.
        cooldown: epochs to wait in addition after a reduction.
        min_lr: the least learning rate.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 0.0001,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1. Received: {factor}")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.wait = 0
        self.cooldown_counter = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.forget()
        self.wait = self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        value = self.monitored(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_improvement(value):
            self.best, self.wait = value, 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        present = float(self.model.optimizer.learning_rate)
        if present <= self.min_lr or math.isclose(present, self.min_lr):
            return
        rate = max(present * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = rate
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}.")
        self.cooldown_counter, self.wait = self.cooldown, 0
