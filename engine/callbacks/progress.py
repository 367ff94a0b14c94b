"""ProgbarLogger: shows how far training is."""

from __future__ import annotations

from typing import Any

from engine.callbacks.callback import Callback
from engine.utils.progress import Progbar


class ProgbarLogger(Callback):
    """Prints epochs and their values: a bar on a terminal, a line an epoch elsewhere.

    With verbose=1 it draws a bar, with 2 it prints a line; where output is no terminal it always prints lines.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: Progbar | None = None
        self._fitting = False

    def needs_batch_logs(self) -> bool:
        return self._bar is not None and self._bar.due()

    def _begin(self) -> None:
        verbose = self.params.get("verbose", 1)
        self._bar = Progbar(self.params.get("steps"), verbose=verbose) if verbose else None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._fitting = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        epochs = self.params.get("epochs") or 1
        if self.params.get("verbose") and epochs > 1:
            print(f"Epoch {epoch + 1}/{epochs}", flush=True)
        self._begin()

    def _update(self, batch: int, logs: dict[str, Any] | None) -> None:
        if self._bar is not None:
            self._bar.update(batch + 1, (logs or {}).items(), finalize=False)

    def _finish(self, logs: dict[str, Any] | None) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.seen, (logs or {}).items(), finalize=True)
            self._bar = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._update(batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._finish(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._bar, self._fitting = None, False

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._fitting:  # validation belongs to its epoch's line
            self._begin()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._fitting:
            self._update(batch, logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self._fitting:
            self._finish(logs)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._update(batch, None)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._finish(None)
