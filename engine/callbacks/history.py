"""History: the values of every epoch, which `fit` returns."""

from __future__ import annotations

from typing import Any

from engine.callbacks.callback import Callback


class History(Callback):
    """Collects the logs of each epoch.

    Attributes:
        history: lists of values by name, "val_…" for validation.
        epoch: the epochs' numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self.model is not None:
            self.model.history = self
