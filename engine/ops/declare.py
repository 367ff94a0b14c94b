"""Turns a function on tensors into an op: run at once on values, recorded on placeholders, named in files.

    @operation("numpy", "Mean", settings=("axis", "keepdims"))
    def mean(x, axis=None, keepdims=False): ...

On placeholders, `mean(x, axis=1)` makes a `Mean(axis=1)` operation and calls it on `x`: the settings are its config,
the other parameters are what its node holds. Files know the operation as `keras.src.ops.numpy` / `Mean`.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from engine.ops.operation import Operation, any_symbolic
from engine.primitives.apply import owned
from engine.registry import registered

Function = Callable[..., Any]

_LARGEST_DIVISOR = 1 << 20


class FunctionOperation(Operation):
    """A function with settings as an operation.

    Args:
        settings: the function's settings, by position in the order of `setting_names` or by name.
        name: default: the class's name in snake case, numbered.
    """

    function: ClassVar[Function]
    setting_names: ClassVar[tuple[str, ...]]
    operand_names: ClassVar[tuple[str, ...]]
    defaults: ClassVar[dict[str, Any]]

    def __init__(self, *args: Any, name: str | None = None, **settings: Any) -> None:
        super().__init__(name=name)
        given = {**dict(zip(self.setting_names, args, strict=False)), **settings}
        unknown = [key for key in given if key not in self.setting_names]
        missing = [key for key in self.setting_names if key not in given and key not in self.defaults]
        if unknown or missing or len(args) > len(self.setting_names):
            raise TypeError(
                f"{type(self).__name__} takes the settings {list(self.setting_names)}. Received: {args} and {settings}"
            )
        self.settings = {key: given.get(key, self.defaults.get(key)) for key in self.setting_names}

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The function's value."""
        operands = dict(zip(self.operand_names, args, strict=False))
        return type(self).function(**operands, **kwargs, **self.settings)

    def _divisor(self) -> int:
        shape = self.settings.get("newshape")  # of a reshape, which may take a free length apart
        lengths = shape if isinstance(shape, (list, tuple)) else ()
        return min(math.prod(length for length in lengths if isinstance(length, int) and length > 0), _LARGEST_DIVISOR)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.settings}


def operation(module: str, name: str, settings: Sequence[str] = ()) -> Callable[[Function], Function]:
    """Declares an op.

    Args:
        module: Keras's module of the operation class: "numpy", "nn", "core", "math", "linalg".
        name: Keras's name of the class.
        settings: the parameters that Keras keeps in the operation's config.
    """

    def declare(function: Function) -> Function:
        signature = inspect.signature(function)
        operands = tuple(key for key in signature.parameters if key not in settings)
        members: dict[str, Any] = {
            "__doc__": function.__doc__,
            "__module__": f"engine.ops.{module}",
            "function": staticmethod(function),
            "setting_names": tuple(settings),
            "operand_names": operands,
            "defaults": {
                key: signature.parameters[key].default
                for key in settings
                if signature.parameters[key].default is not inspect.Parameter.empty
            },
        }
        kind = registered(f"keras.src.ops.{module}")(type(name, (FunctionOperation,), members))

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            if not any_symbolic((args, kwargs)):
                return owned(function(*args, **kwargs))
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            chosen = {key: bound.arguments[key] for key in settings}
            # Operands that were left out stay out of the record.
            given = [bound.arguments[key] for key in operands]
            while given and given[-1] is None:
                given.pop()
            return kind(**chosen)(*given)

        run.operation = kind  # type: ignore[attr-defined]
        return run

    return declare
