"""The user's own classes and functions that files may name."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

_custom: dict[str, Any] = {}
_custom_names: dict[Any, str] = {}


class _Active(threading.local):
    def __init__(self) -> None:
        self.tables: tuple[Mapping[str, Any], ...] = ()


_active = _Active()


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """Lets files name a class or function of the user's as `package>name` (default: its own name).

    Raises:
        ValueError: a class has no `get_config`.
    """

    def register(item: Any) -> Any:
        if inspect.isclass(item) and not hasattr(item, "get_config"):
            raise ValueError(f"Cannot register {item.__name__}: a class in a file needs a `get_config()` method.")
        registered_name = f"{package}>{name or item.__name__}"
        _custom[registered_name] = item
        _custom_names[item] = registered_name
        return item

    return register


def get_registered_name(item: Any) -> str:
    """The name under which a class or function was registered, else its own name."""
    return _custom_names.get(item) or str(item.__name__)


def get_registered_object(name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The user's class or function of a name: from `custom_objects`, the open scopes, then the registered; or None."""
    for table in (custom_objects or {}, *reversed(_active.tables), _custom):
        if name in table:
            return table[name]
    return None


def get_custom_objects() -> dict[str, Any]:
    """The table of the user's registered objects, by `package>name`; entries may be added."""
    return _custom


class CustomObjectScope:
    """Within this context files may name the objects of a table.

    Args:
        custom_objects: classes and functions by the name that files use.
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        self.custom_objects = dict(custom_objects or {})

    def __enter__(self) -> CustomObjectScope:
        _active.tables = (*_active.tables, self.custom_objects)
        return self

    def __exit__(self, *error: Any) -> None:
        _active.tables = _active.tables[:-1]


custom_object_scope = CustomObjectScope
