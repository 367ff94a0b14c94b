"""SequenceReversal: turns round the beginning of each sequence, as long as the sequence is."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import ops
from engine.layers.layer import Layer
from engine.registry import registered


@registered("beagle.layers")
class SequenceReversal(Layer):
    """Of [x, lengths]: the first `lengths[b]` steps of each sequence backwards; what comes after them stays.

    Args:
        time_axis, batch_axis: of x.
    """

    _config_attributes = ("time_axis", "batch_axis")

    def __init__(self, time_axis: int = 1, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.time_axis = int(time_axis)
        self.batch_axis = int(batch_axis)

    def call(self, inputs: Any) -> Any:
        x, lengths = inputs
        rank = len(x.shape)
        along_time = [1] * rank
        along_time[self.time_axis] = x.shape[self.time_axis]
        along_batch = [1] * rank
        along_batch[self.batch_axis] = x.shape[self.batch_axis]
        steps = np.arange(x.shape[self.time_axis], dtype=np.int32).reshape(along_time)
        counts = ops.reshape(ops.cast(lengths, "int32"), along_batch)
        places = ops.where(ops.less(steps, counts), ops.subtract(ops.subtract(counts, 1), steps), steps)
        return ops.take_along_axis(x, places, axis=self.time_axis)
