"""TerminateOnNaN: ends training when the loss is no number any more."""

from __future__ import annotations

import math
from typing import Any

from engine.callbacks.callback import Callback


class TerminateOnNaN(Callback):
    """Stops training at the first batch whose mean loss is NaN or infinite.

    Args:
        raise_error: whether to raise RuntimeError instead of stopping.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"Batch {batch}: the loss is {loss}.")
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
