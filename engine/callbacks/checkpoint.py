"""ModelCheckpoint: saves the model while it trains."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from engine.callbacks.monitor import MonitorCallback


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after epochs or after so many batches.

    Args:
        filepath: may hold `{epoch}` (from 1) and names of logged values, with formats, as
            "{epoch:02d}-{val_loss:.2f}.keras".
            Ends in ".keras", or in ".weights.h5" with `save_weights_only`.
        monitor, mode: see `MonitorCallback`; used with `save_best_only`.
        verbose: 1: say what is saved.
        save_best_only: whether to save only improvements.
        save_weights_only: whether to save weights only.
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: the value to beat at the beginning.

    Raises:
        ValueError: a path with the wrong ending, or another `save_freq`.

    Files are written beside and moved into place, so that a file under its name is always whole.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial=initial_value_threshold)
        self.filepath = os.fspath(filepath)
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(f"ModelCheckpoint: save_freq must be 'epoch' or an integer. Received: {save_freq!r}")
        ending = ".weights.h5" if save_weights_only else ".keras"
        if not self.filepath.endswith(ending):
            raise ValueError(
                f"ModelCheckpoint: filepath must end in {ending!r} where save_weights_only={save_weights_only}. "
                f"Received: {self.filepath!r}"
            )
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._epoch = 0
        self._batches = 0

    def needs_batch_logs(self) -> bool:
        return self.save_freq != "epoch" and (self._batches + 1) % int(self.save_freq) == 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches % int(self.save_freq) == 0:
            self._save(self._epoch, logs, batch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs)

    def _save(self, epoch: int, logs: dict[str, Any] | None, batch: int | None = None) -> None:
        if self.save_best_only:
            value = self.monitored(logs)
            if value is None:
                return
            if not self.is_improvement(value):
                if self.verbose > 0:
                    print(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {self.best:.5f}")
                return
            self.best = value
        path = self._path(epoch, logs, batch)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: saving model to {path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        # The same ending, since that is how the format is chosen.
        partial = path.with_name(f".{os.getpid()}.{path.name}")
        try:
            if self.save_weights_only:
                self.model.save_weights(partial, overwrite=True)
            else:
                self.model.save(partial, overwrite=True)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    def _path(self, epoch: int, logs: dict[str, Any] | None, batch: int | None) -> Path:
        values = {"epoch": epoch + 1, **(logs or {})}
        if batch is not None:
            values["batch"] = batch + 1
        try:
            return Path(self.filepath.format(**values))
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: filepath {self.filepath!r} names {error}, which is not among the values: "
                f"{', '.join(values)}"
            ) from error
