"""Watching one value of the logs: which way is better, and by how much."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from engine.callbacks.callback import Callback

logger = logging.getLogger("engine")

_RISING = ("acc", "accuracy", "auc", "precision", "recall", "f1", "fbeta", "iou", "top_k", "similarity", "r2")
_FALLING = (
    *("loss", "error", "mse", "mae", "mape", "msle", "rmse", "crossentropy", "entropy"),
    *("hinge", "poisson", "divergence", "log_cosh", "logcosh", "perplexity"),
)


class MonitorCallback(Callback):
    """Base of callbacks that act on one value of the logs.

    Args:
        monitor: its name, "val_loss" by default.
        mode: "min", "max", or "auto": what the metric of that name says of itself, else what the name tells: larger is
            better for accuracies and their like, smaller for losses and errors.
        initial: the value to beat at the beginning; default: any.
        min_delta: a change below this is no improvement.
    """

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", initial: float | None = None, min_delta: float = 0.0
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{type(self).__name__}: mode must be 'auto', 'min' or 'max'. Received: {mode!r}")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(min_delta)
        self._initial = initial
        self._warned = False
        self.forget()

    def forget(self) -> None:
        """Starts again from the initial value."""
        self.best: float | None = self._initial

    def _rising(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return False
        direction = self._direction_of(name)
        if direction is not None:
            return direction == "up"
        for words, rising in ((_RISING, True), (_FALLING, False)):
            if any(word in name for word in words):
                return rising
        raise ValueError(
            f"{type(self).__name__}: whether {self.monitor!r} should rise or fall is unknown: give mode='max' or 'min'."
        )

    def _direction_of(self, name: str) -> str | None:
        """What a metric of the model says of itself: "up", "down" or None."""
        for metric in getattr(self.model, "metrics", ()):
            for item in getattr(metric, "metrics", [metric]):
                if item.name == name or name.endswith(f"_{item.name}"):
                    return getattr(item, "_direction", None)
        return None

    def is_improvement(self, value: float) -> bool:
        """Whether `value` beats the best so far by more than `min_delta`. NaN never does."""
        if np.isnan(value):
            return False
        if self.best is None:
            return True
        difference = value - self.best
        return bool((difference if self._rising() else -difference) > self.min_delta)

    def monitored(self, logs: dict[str, Any] | None) -> float | None:
        """The watched value, or None, with one warning, where the logs lack it."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            if not self._warned:
                known = ", ".join(logs or {}) or "none"
                logger.warning(
                    "%s watches %r, which is not among the values: %s.", type(self).__name__, self.monitor, known
                )
                self._warned = True
            return None
        return float(value)
