"""Sums and means on oneDNN.

Over trailing axes by its reduction, over the space of images (batch, *space, channels) by pooling with a window of the
whole. Over leading axes, as for the gradient of a bias, oneDNN has its slow implementation alone; maximum and minimum
lose NaN. These stay with NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.kernels.onednn.constants import Algorithm, Argument, Propagation, ReductionAlgorithm
from engine.kernels.onednn.executable import OneDnnExecutable, Port
from engine.kernels.onednn.handles import PrimitiveDescriptor, dims
from engine.kernels.onednn.layouts import channels_last, declining, is_plain_float, row_major
from engine.primitives.primitive import Executable, Prepare, Primitive, Spec, kernel
from engine.primitives.reductions import reduce_mean
from engine.primitives.shaping import reduce_sum

# From so many elements on starting the threads pays.
_SMALLEST = 1 << 16
# Of more entries the sum would lose digits: oneDNN adds them one by one, by lanes, and when it pools without lanes.
_LONGEST_ROW = 1 << 12
_LONGEST_SPACE = 1 << 10


def _trailing(algorithm: ReductionAlgorithm, kept: int, reduced: int, inputs: Sequence[Spec]) -> Executable:
    source, result = row_major((kept, reduced)), row_major((kept, 1))
    description = PrimitiveDescriptor("reduction", algorithm, source, result, 0.0, 0.0)
    ports = [Port(Argument.SOURCE, 0, source)]
    return OneDnnExecutable(description, ports, [Port(Argument.RESULT, 0, result)], inputs)


def _over_space(batch: int, space: int, channels: int, inputs: Sequence[Spec]) -> Executable:
    source, result = channels_last((batch, space, channels)), channels_last((batch, 1, channels))
    none = dims((0,))
    description = PrimitiveDescriptor(
        "pooling_forward",
        Propagation.INFERENCE,
        Algorithm.AVERAGE_POOLING_EXCLUDING_PADDING,
        source,
        result,
        dims((1,)),
        dims((space,)),
        none,
        none,
        none,
    )
    ports = [Port(Argument.SOURCE, 0, source)]
    return OneDnnExecutable(description, ports, [Port(Argument.RESULT, 0, result)], inputs)


def _prepare(algorithm: ReductionAlgorithm) -> Prepare:
    def prepare(inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]) -> Executable | None:
        """The sum or mean of an array over `axes`."""
        (x,) = inputs
        axes = sorted(options["axes"])
        if not axes or not is_plain_float(x) or axes != list(range(axes[0], axes[-1] + 1)):
            return None
        first, last = axes[0], axes[-1] + 1
        before, reduced, after = (math.prod(part) for part in (x.shape[:first], x.shape[first:last], x.shape[last:]))
        if after == 1:
            return _trailing(algorithm, before, reduced, inputs) if reduced <= _LONGEST_ROW else None
        if algorithm is ReductionAlgorithm.MEAN and first == 1 and last == len(x.shape) - 1:
            return _over_space(before, reduced, after, inputs) if reduced <= _LONGEST_SPACE else None
        return None

    return prepare


_ALGORITHMS: dict[Primitive, ReductionAlgorithm] = {
    reduce_sum: ReductionAlgorithm.SUM,
    reduce_mean: ReductionAlgorithm.MEAN,
}

for _target, _algorithm in _ALGORITHMS.items():
    kernel(_target, "onednn", _SMALLEST)(declining(_prepare(_algorithm)))
