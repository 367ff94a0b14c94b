"""CSVLogger: a line of values an epoch, in a file."""

from __future__ import annotations

import csv
import os
from typing import Any, TextIO

import numpy as np

from engine.callbacks.callback import Callback


class CSVLogger(Callback):
    """Writes the logs of each epoch to a CSV file; the file is complete after each one.

    Args:
        filename: the file.
        separator: between columns.
        append: whether to go on with an existing file instead of replacing it.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None
        self._file: TextIO | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        going_on = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        self._with_header = not going_on
        self.keys = None
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert self._file is not None
        logs = logs or {}
        writer = csv.writer(self._file, delimiter=self.sep)
        if self.keys is None:
            # Validation may come only every few epochs: its columns are there from the first.
            self.keys = sorted(logs)
            if self.params.get("validates") and not any(name.startswith("val_") for name in logs):
                self.keys += [f"val_{name}" for name in self.keys]
        if self._with_header:
            writer.writerow(["epoch", *self.keys])
            self._with_header = False
        writer.writerow([epoch, *(_cell(logs.get(name, "NA")) for name in self.keys)])
        self._file.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _cell(value: Any) -> Any:
    """A value as it is written: arrays in brackets."""
    return f"[{', '.join(map(str, value))}]" if np.ndim(value) else value
