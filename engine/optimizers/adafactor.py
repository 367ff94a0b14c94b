"""Adafactor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from engine import ops
from engine.optimizers.optimizer import Optimizer
from engine.optimizers.options import CommonOptions
from engine.registry import registered
from engine.variable import Variable


@registered("keras.optimizers", "adafactor")
class Adafactor(Optimizer):
    """Steps by gradients over the root of averages of their squares, which are kept by row and column (Shazeer and
    Stern 2018), in proportion to the size of each variable.

    Args:
        learning_rate: the largest step; it falls with the root of the number of steps where `relative_step` holds.
        beta_2_decay: the averages keep 1 - step^beta_2_decay of themselves.
        epsilon_1: added to squares.
        epsilon_2: the least size of a variable.
        clip_threshold: from which root mean square on an update is scaled down.
        relative_step: see `learning_rate`.
        Others as in `Optimizer`.
    """

    _hyperparameters = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def build(self, variables: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._rows: list[Variable] = []
        self._columns: list[Variable] = []
        self._squares: list[Variable] = []
        for variable in variables:
            # Vectors have no rows and columns; Keras keeps a number in the place of each all the same.
            shape, is_matrix = variable.shape, len(variable.shape) >= 2
            dtype = variable.dtype.name if is_matrix else "int32"
            rows = self.add_variable(shape[:-1] if is_matrix else (), dtype=dtype, name=variable.name)
            columns = self.add_variable((*shape[:-2], shape[-1]) if is_matrix else (), dtype=dtype, name=variable.name)
            self._rows.append(rows)
            self._columns.append(columns)
            self._squares.append(self.add_variable_from_reference(variable, "velocity"))

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        index, dtype = self._get_variable_index(variable), variable.dtype.name
        step = ops.cast(self.iterations + 1, dtype)
        gradient, rate = ops.cast(gradient, dtype), ops.cast(learning_rate, dtype)
        # Keras takes the smaller of the two whether or not `relative_step` holds.
        size = ops.maximum(self.epsilon_2, _root_mean_square(variable)) * ops.minimum(rate, 1.0 / ops.sqrt(step))
        kept = 1.0 - ops.power(step, self.beta_2_decay)
        fresh = ops.square(gradient) + self.epsilon_1
        rows, columns = self._rows[index], self._columns[index]
        if len(variable.shape) < 2:
            squares = kept * self._squares[index] + (1.0 - kept) * fresh
        else:
            by_row = kept * rows + (1.0 - kept) * ops.mean(fresh, axis=-1)
            by_column = kept * columns + (1.0 - kept) * ops.mean(fresh, axis=-2)
            self.assign(rows, by_row)
            self.assign(columns, by_column)
            shares = ops.expand_dims(by_row / ops.mean(by_row, axis=-1, keepdims=True), -1)
            squares = shares * ops.expand_dims(by_column, -2)
        self.assign(self._squares[index], squares)
        update = gradient / ops.sqrt(squares)
        update = update / ops.maximum(1.0, _root_mean_square(update) / self.clip_threshold)
        self.assign_sub(variable, size * update)


def _root_mean_square(value: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(value)))
