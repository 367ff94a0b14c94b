"""Learning rates as functions of the step (`keras.optimizers.schedules`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.registry import deserialize as _deserialize
from engine.registry import registered
from engine.registry import serialize as _serialize


@registered("keras.optimizers.schedules")
class LearningRateSchedule:
    """Base of schedules; subclasses define `__call__(step)`, a scalar tensor from a scalar tensor, and `get_config`."""

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no __call__(step).")

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no get_config().")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        return cls(**config)


def _number(step: Any) -> Any:
    return ops.cast(ops.convert_to_tensor(step), "float32")


@registered("keras.optimizers.schedules")
class ExponentialDecay(LearningRateSchedule):
    """`initial * decay_rate^(step / decay_steps)`, the exponent rounded down with `staircase`."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        _positive(decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> Any:
        exponent = _number(step) / float(self.decay_steps)
        if self.staircase:
            exponent = ops.floor(exponent)
        return self.initial_learning_rate * ops.power(float(self.decay_rate), exponent)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


@registered("keras.optimizers.schedules")
class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[i]` while the step is at most `boundaries[i]`, the last value afterwards.

    Raises:
        ValueError: there is not one value more than boundaries.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "PiecewiseConstantDecay needs one value more than boundaries. "
                f"Received: {len(boundaries)} boundaries and {len(values)} values."
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> Any:
        number = _number(step)
        rate = ops.convert_to_tensor(float(self.values[-1]))
        for boundary, value in zip(reversed(self.boundaries), reversed(self.values[:-1]), strict=True):
            rate = ops.where(number <= float(boundary), float(value), rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


@registered("keras.optimizers.schedules")
class PolynomialDecay(LearningRateSchedule):
    """From the initial to the end rate along `(1 - step / decay_steps)^power`; with `cycle` again and again."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        _positive(decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> Any:
        number = _number(step)
        length: Any = float(self.decay_steps)
        if self.cycle:
            length = length * ops.maximum(ops.ceil(number / length), 1.0)
        else:
            number = ops.minimum(number, length)
        left = ops.power(1.0 - number / length, float(self.power))
        return (self.initial_learning_rate - self.end_learning_rate) * left + self.end_learning_rate

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


@registered("keras.optimizers.schedules")
class InverseTimeDecay(LearningRateSchedule):
    """`initial / (1 + decay_rate * step / decay_steps)`, the quotient rounded down with `staircase`."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        _positive(decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> Any:
        quotient = _number(step) / float(self.decay_steps)
        if self.staircase:
            quotient = ops.floor(quotient)
        return self.initial_learning_rate / (1.0 + self.decay_rate * quotient)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


@registered("keras.optimizers.schedules")
class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate to `alpha` times it, after an optional linear warm-up (SGDR, 2017).

    Args:
        decay_steps: length of the decay, the warm-up not counted.
        alpha: the least rate, as a share of the rate from which it decays.
        warmup_target: the rate at which the warm-up ends and the decay begins; None: no warm-up.
        warmup_steps: length of the warm-up.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        _positive(decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> Any:
        number = _number(step)
        if self.warmup_target is None:
            return self._decayed(number, self.initial_learning_rate)
        rise = self.warmup_target - self.initial_learning_rate
        warming = self.initial_learning_rate + rise * number / float(max(self.warmup_steps, 1))
        decayed = self._decayed(number - float(self.warmup_steps), self.warmup_target)
        return ops.where(number < float(self.warmup_steps), warming, decayed)

    def _decayed(self, number: Any, start: float) -> Any:
        share = ops.minimum(number, float(self.decay_steps)) / float(self.decay_steps)
        cosine = 0.5 * (1.0 + ops.cos(math.pi * share))
        return start * ((1.0 - self.alpha) * cosine + self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


@registered("keras.optimizers.schedules")
class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines one after the other, each `t_mul` times as long as the last and `m_mul` times as high."""

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        _positive(first_decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self._t_mul = t_mul
        self._m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> Any:
        done = _number(step) / float(self.first_decay_steps)
        if self._t_mul == 1.0:
            period = ops.floor(done)
            share = done - period
        else:
            ratio = self._t_mul
            # Periods are a geometric series: this many whole ones lie behind.
            period = ops.floor(ops.log(1.0 - done * (1.0 - ratio)) / math.log(ratio))
            length = ops.power(ratio, period)
            share = (done - (1.0 - length) / (1.0 - ratio)) / length
        height = ops.power(float(self._m_mul), period)
        cosine = 0.5 * height * (1.0 + ops.cos(math.pi * share))
        return self.initial_learning_rate * ((1.0 - self.alpha) * cosine + self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self._t_mul,
            "m_mul": self._m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }


def _positive(steps: float) -> None:
    if steps <= 0:
        raise ValueError(f"The number of decay steps must be positive. Received: {steps}")


def serialize(learning_rate_schedule: Any) -> Any:
    """The config of a schedule."""
    return _serialize(learning_rate_schedule)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The schedule of a config."""
    return _deserialize(config, custom_objects)
