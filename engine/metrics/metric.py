"""What a metric is: state that grows from batch to batch, and a result that is read from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.dtypes import standardize_dtype
from engine.naming import auto_name
from engine.registry import deserialize, registered
from engine.scopes import unrecorded
from engine.variable import Variable


@registered("keras.metrics")
class Metric:
    """Base of metrics; subclasses define `update_state(...)` and `result()`.

    Args:
        dtype: of state and result; default: the default float type.
        name: default: the class's name in snake case, numbered.

    `_direction` is "up" or "down" where larger or smaller results are better: callbacks that watch one ask for it.
    State is kept in variables, so that a training step captured into a plan updates it.
    """

    _direction: str | None = None

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or auto_name(type(self).__name__)
        self._dtype = standardize_dtype(getattr(dtype, "compute_dtype", dtype))
        self._variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The state, in the order in which it was added."""
        return list(self._variables)

    def add_variable(
        self,
        shape: tuple[int, ...] = (),
        initializer: Any = None,
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """A new state variable.

        Args:
            initializer: a name or object of `engine.initializers`; default: zeros. `reset_state` sets zeros.
            aggregation: taken for Keras's sake; there is one replica.
        """
        from engine import initializers

        start = initializers.get(initializer or "zeros")
        with unrecorded():  # metrics may be made while a step is captured
            variable = Variable(start, shape=tuple(shape), dtype=dtype or self._dtype, trainable=False, name=name)
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    def add_weight(
        self, shape: tuple[int, ...] = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """As `add_variable`."""
        return self.add_variable(shape, initializer, dtype=dtype, name=name)

    def reset_state(self) -> None:
        """Sets the state to zeros."""
        for variable in self._variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Adds one batch to the state."""
        raise NotImplementedError(f"{type(self).__name__} defines no update_state().")

    def result(self) -> Any:
        """The value over all batches since the last reset: a scalar tensor, or a dictionary of them."""
        raise NotImplementedError(f"{type(self).__name__} defines no result().")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def saveable_children(self) -> dict[str, Any]:
        """Nothing below a metric owns variables."""
        return {}

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Writes the state to `store` under "0", "1", …"""
        for index, variable in enumerate(self._variables):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote; raises ValueError where the number of variables differs."""
        if len(store) != len(self._variables):
            raise ValueError(f"Metric {self.name!r} expects {len(self._variables)} variables, {len(store)} were saved.")
        for index, variable in enumerate(self._variables):
            variable.assign(np.asarray(store[str(index)]))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self._dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        config = dict(config)
        if isinstance(config.get("fn"), dict):
            config["fn"] = deserialize(config["fn"])
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = deserialize(config["dtype"])
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
