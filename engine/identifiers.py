"""Objects as users name them: by an object, a class, a name or a config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import registry


def resolve(
    identifier: Any,
    module: str,
    kind: str,
    otherwise: Callable[[str], Any] | None = None,
    expected: type | None = None,
) -> Any:
    """What an argument like `kernel_initializer` stands for.

    Args:
        identifier: None, an object, a class (made without arguments), a name or a config.
        module: Keras's module of the names ("keras.initializers").
        kind: what it should be, for the error ("initializer").
        otherwise: what to look a name up with that the module does not hold.
        expected: the class that it must belong to; default: anything callable will do.

    Raises:
        ValueError: it stands for nothing.
    """
    found = identifier
    if isinstance(identifier, dict):
        config = identifier if "module" in identifier else {"module": module, "registered_name": None, **identifier}
        try:
            found = registry.deserialize(config)
        except TypeError as error:
            raise ValueError(f"Could not interpret {kind} identifier: {identifier!r}. {error}") from error
    elif isinstance(identifier, str):
        found = registry.get_registered_object(identifier) or registry.find(identifier, module)
        if found is None and otherwise is not None:
            found = otherwise(identifier)
    if isinstance(found, type):
        try:
            found = found()
        except TypeError as error:
            raise ValueError(f"The {kind} {identifier!r} cannot be made without arguments: {error}") from error
    if found is None and identifier is None:
        return None
    if not (callable(found) if expected is None else isinstance(found, expected)):
        hint = ""
        if isinstance(identifier, str):
            close = registry.similar(identifier, module)
            hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
            hint += " One of your own is given itself, or by name within `engine.saving.custom_object_scope`."
        raise ValueError(
            f"Could not interpret {kind} identifier: {identifier!r}. "
            f"Expected a name, a config, a class or an object.{hint}"
        )
    return found
