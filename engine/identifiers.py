"""Objects as users name them: by an object, a class, a name or a config."""

from __future__ import annotations

from typing import Any

from engine import registry


def resolve(identifier: Any, module: str, kind: str) -> Any:
    """What an argument like `kernel_initializer` stands for.

    Args:
        identifier: None, an object, a class (made without arguments), a name or a config.
        module: Keras's module of the names ("keras.initializers").
        kind: what it should be, for the error ("initializer").

    Raises:
        ValueError: it stands for nothing.
    """
    found = identifier
    if isinstance(identifier, dict):
        config = identifier if "module" in identifier else {"module": module, **identifier}
        found = registry.deserialize(config)
    elif isinstance(identifier, str):
        found = registry.get_registered_object(identifier) or registry.find(identifier, module)
    if isinstance(found, type):
        found = found()
    if found is None and identifier is None:
        return None
    if not callable(found):
        raise ValueError(
            f"Could not interpret {kind} identifier: {identifier!r}. Expected a name, a config, a class or an object."
        )
    return found
