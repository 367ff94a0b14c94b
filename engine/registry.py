"""The closed registry: which classes and functions files may name, and their config form.

An object is written as `{"module", "class_name", "config", "registered_name"}` plus `build_config`, `compile_config`
and `shared_object_id` where they apply: Keras 3's form. Reading it looks names up in the tables here and nowhere
else: nothing is imported because a file says so, and no code is ever taken from a file.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from engine.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from engine.dtypes import as_dtype
from engine.tensor import Symbol, Tensor, Value
from engine.variable import Variable

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize",
    "find",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "place",
    "register_keras_serializable",
    "registered",
    "retrieve",
    "serialize",
    "sharing",
    "similar",
]

Registered = TypeVar("Registered", bound=Callable[..., Any])

# Our own modules that register the classes of one part of Keras's public paths, imported when that part is asked for.
_PROVIDERS: dict[str, tuple[str, ...]] = {
    "layers": ("engine.layers", "engine.layers.extensions"),
    "models": ("engine.models",),
    "ops": ("engine.ops",),
    "activations": ("engine.activations",),
    "initializers": ("engine.initializers",),
    "regularizers": ("engine.regularizers",),
    "constraints": ("engine.constraints",),
    "losses": ("engine.losses",),
    "metrics": ("engine.metrics",),
    "optimizers": ("engine.optimizers",),
    "random": ("engine.random",),
    "dtype_policies": ("engine.dtype_policies",),
    "engine": ("engine.layers", "engine.models"),  # Keras 2: keras.src.engine.functional, keras.engine.input_layer
    "keras": ("engine.models", "engine.dtype_policies"),  # exported at the top: keras.Sequential, keras.DTypePolicy
}
_ROOTS = ("keras", "tf_keras", "beagle")  # the last one's are ours, and unknown to Keras

_objects: dict[tuple[str, str], Any] = {}
_by_name: dict[str, list[tuple[str, Any]]] = {}
_places: dict[Any, tuple[str, str]] = {}


class _Active(threading.local):
    def __init__(self) -> None:
        self.written: dict[int, tuple[Any, _Serialized]] | None = None
        self.read: dict[int, Any] | None = None


_active = _Active()


class UnknownNameError(TypeError):
    """A file names a class or function that is not registered."""


class _Serialized(dict[str, Any]):
    """A finished object config. It is placed into outer configs as it is, so that sharing can still mark it."""


# Registration -------------------------------------------------------------------------------------


def registered(module: str, *aliases: str, name: str | None = None) -> Callable[[Registered], Registered]:
    """Puts a class or function of the engine under Keras's module path.

    Args:
        module: the public path without the name ("keras.layers"), or the internal one of what Keras does not export
            ("keras.src.ops.numpy").
        aliases: further names under which files may call it.
        name: the name under which it is written; default: its own.
    """

    def register(item: Registered) -> Registered:
        written = item.__name__ if name is None else name
        _places[item] = (module, written)
        for known in (written, *aliases):
            _objects[module, known] = item
            _by_name.setdefault(known, []).append((module, item))
        return item

    return register


@contextmanager
def sharing() -> Iterator[None]:
    """Objects met twice inside this block are written with one `shared_object_id`, and read as one object."""
    before = _active.written, _active.read
    _active.written, _active.read = {}, {}
    try:
        yield
    finally:
        _active.written, _active.read = before


# Lookup -------------------------------------------------------------------------------------------


def _families(module: str | None) -> list[str]:
    if module is None:
        return []
    parts = module.split(".")
    return [part for part in reversed(parts) if part in _PROVIDERS]


def _provide(family: str) -> None:
    for module in _PROVIDERS[family]:
        importlib.import_module(module)


def find(name: str, module: str | None = None) -> Any:
    """The engine's own class or function of a name under a Keras path, or None.

    Only the part of the path that says the kind (layers, losses, …) decides, since Keras moved files between versions.
    Without a path, layers come first, then models, then the rest.
    """
    if module is not None and module.split(".")[0] not in (*_ROOTS, "builtins"):
        return None
    families = _families(module) if module not in (None, "builtins") else list(_PROVIDERS)
    for family in families:
        _provide(family)
        if module is not None and (module, name) in _objects:
            return _objects[module, name]
        for path, item in _by_name.get(name, ()):
            if family in _families(path) and (family != "keras" or path == "keras"):
                return item
        if family == "engine":
            for path, item in _by_name.get(name, ()):
                if _families(path)[0] in ("layers", "models", "keras"):
                    return item
    return None


def similar(name: str, module: str) -> list[str]:
    """Names under a Keras path that look like another, the closest first, two at most."""
    for family in _families(module):
        _provide(family)
    known = [other for place, other in _objects if _families(place) == _families(module)]
    return difflib.get_close_matches(name, known, n=2)


def retrieve(
    name: str,
    module: str | None = None,
    registered_name: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """The class or function that a file names; the user's objects win over the engine's.

    Raises:
        TypeError: no such class is registered. Says how to register it.
    """
    for known in dict.fromkeys((registered_name, name)):
        if isinstance(known, str):
            item = get_registered_object(known, custom_objects)
            if item is not None:
                return item
    item = find(name, module)
    if item is None:
        said = f" (registered name {registered_name!r})" if registered_name and registered_name != name else ""
        raise UnknownNameError(
            f"Unknown class or function {name!r} of module {module!r}{said}. Only registered ones are read from "
            "files: decorate your own with `@engine.saving.register_keras_serializable(package, name)`, or pass it "
            "in `custom_objects` or `engine.saving.custom_object_scope({name: class})`."
        )
    return item


# Writing ------------------------------------------------------------------------------------------


def serialize(item: Any) -> Any:
    """The JSON-ready form of an object, a nest of objects or plain values.

    Raises:
        ValueError: a lambda, which has no name to be found by.
        TypeError: an object without `get_config()`.
    """
    if item is None or isinstance(item, (bool, int, float, str, _Serialized)):
        return item
    if isinstance(item, (list, tuple)):
        values = [serialize(value) for value in item]
        return tuple(values) if isinstance(item, tuple) else values
    if isinstance(item, dict):
        return {key: serialize(value) for key, value in item.items()}
    special = _serialize_special(item)
    if special is not None:
        return special
    if inspect.isfunction(item) or inspect.isbuiltin(item):
        if item.__name__ == "<lambda>":
            raise ValueError("A lambda cannot be saved: define a function and register it.")
        return {
            "module": "builtins",
            "class_name": "function",
            "config": get_registered_name(item),
            "registered_name": "function",
        }
    if inspect.isclass(item) or not hasattr(item, "get_config"):
        raise TypeError(f"Cannot save {item!r} of type {type(item).__name__}: it has no `get_config()`.")
    return _serialize_object(item)


def _serialize_special(item: Any) -> Any:
    if isinstance(item, np.generic):
        return item.item()
    if isinstance(item, bytes):
        return {"class_name": "__bytes__", "config": {"value": item.decode("utf-8")}}
    if isinstance(item, slice):
        parts = {"start": item.start, "stop": item.stop, "step": item.step}
        return {"class_name": "__slice__", "config": serialize(parts)}
    if item is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(item, np.dtype):
        return item.name
    if isinstance(item, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": item.tolist(), "dtype": item.dtype.name}}
    if isinstance(item, (Tensor, Variable)):
        return {"class_name": "__tensor__", "config": {"value": item.numpy().tolist(), "dtype": item.dtype.name}}
    if isinstance(item, Symbol):
        raise ValueError("A symbol of a captured computation cannot be saved.")
    if isinstance(item, Value):
        return item.get_config()  # type: ignore[attr-defined]
    if isinstance(item, functools.partial):
        raise TypeError("Cannot save a functools.partial: define a function and register it.")
    return None


def _serialize_object(item: Any) -> _Serialized:
    kind = type(item)
    module, name = place(kind)
    exported = kind in _places and module is not None and not module.startswith("keras.src")
    config = _Serialized(
        module=module,
        class_name=name,
        config=serialize(item.get_config()),
        registered_name=None if exported else get_registered_name(kind),
    )
    if hasattr(item, "get_build_config"):
        build_config = item.get_build_config()
        if build_config is not None:
            config["build_config"] = serialize(build_config)
    if hasattr(item, "get_compile_config"):
        compile_config = item.get_compile_config()
        if compile_config is not None:
            config["compile_config"] = serialize(compile_config)
    written = _active.written
    if written is not None:
        _, first = written.setdefault(id(item), (item, config))  # keeps the item, and with it its id, alive
        if first is not config:
            marked = 1 + sum("shared_object_id" in other for _, other in written.values())
            config["shared_object_id"] = first.setdefault("shared_object_id", marked)
    return config


def place(kind: type) -> tuple[str | None, str]:
    """The module path and name under which files know a class; a user's own class keeps its Python module."""
    known = _places.get(kind)
    if known is not None:
        return known
    return (None if kind.__module__ in ("__main__", "builtins") else kind.__module__), kind.__name__


# Reading ------------------------------------------------------------------------------------------


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The object of a config made by `serialize`, by Keras 3, or (object configs) by Keras 2.

    Args:
        config: strings and numbers come back as they are; lists and plain dictionaries are gone through.
        custom_objects: the user's classes and functions by name.

    Raises:
        TypeError: an unknown class.
        ValueError: a lambda, or a config that cannot be understood.
    """
    if custom_objects:
        with CustomObjectScope(custom_objects):
            return deserialize(config)
    if isinstance(config, (list, tuple)):
        return type(config)(deserialize(value) for value in config)
    if not isinstance(config, dict):
        return config
    if "class_name" not in config or "config" not in config:
        return {key: deserialize(value) for key, value in config.items()}
    name, inner = config["class_name"], config["config"]
    for field in ("class_name", "module", "registered_name"):
        if not isinstance(config.get(field), str) and (field == "class_name" or config.get(field) is not None):
            raise ValueError(f"Expected {field!r} of a config to be a string. Received: {config.get(field)!r}")
    if name.startswith("__"):
        return _deserialize_special(name, inner)
    shared = config.get("shared_object_id")
    if shared is not None and _active.read is not None and shared in _active.read:
        return _active.read[shared]
    item = _deserialize_object(config, name, inner)
    if shared is not None and _active.read is not None:
        _active.read[shared] = item
    return item


def _deserialize_special(name: str, inner: Any) -> Any:
    if name == "__numpy__":
        return np.array(inner["value"], dtype=as_dtype(inner["dtype"]))
    if name == "__tensor__":
        return Tensor(np.array(inner["value"], dtype=as_dtype(inner["dtype"])))
    if name == "__bytes__":
        return inner["value"].encode("utf-8")
    if name == "__slice__":
        return slice(*(deserialize(inner[part]) for part in ("start", "stop", "step")))
    if name == "__ellipsis__":
        return Ellipsis
    if name == "__tuple__":
        return tuple(deserialize(value) for value in inner)
    if name == "__keras_tensor__":
        from engine.ops.operation import KerasTensor

        return KerasTensor(inner["shape"], dtype=inner["dtype"], name=inner.get("name"))
    if name == "__lambda__":
        raise ValueError("The file holds a Python lambda. Code is never taken from files; nothing was run.")
    raise ValueError(f"Unknown special class {name!r} in a config.")


def _deserialize_object(config: dict[str, Any], name: str, inner: Any) -> Any:
    module, registered_name = config.get("module"), config.get("registered_name")
    if name == "function":
        if not isinstance(inner, str):
            raise ValueError(f"Expected a function's name as a string. Received: {inner!r}")
        return retrieve(inner, module, registered_name if registered_name != "function" else None)
    kind = retrieve(name, module, registered_name)
    if not hasattr(kind, "from_config"):
        raise TypeError(
            f"{name!r} of module {module!r} is no class with `from_config`, so no object can be made of it."
        )
    if not isinstance(inner, dict):
        raise ValueError(f"The config of {name!r} must be a dictionary. Received: {inner!r}")
    try:
        item = kind.from_config(inner)
    except UnknownNameError:  # says it all, however deep in the config it is
        raise
    except TypeError as error:
        raise TypeError(f"Cannot make {name!r} of module {module!r} from its config {inner!r}: {error}") from error
    build_config = config.get("build_config")
    if build_config and hasattr(item, "build_from_config") and not getattr(item, "built", False):
        item.build_from_config(deserialize(build_config))
    compile_config = config.get("compile_config")
    if compile_config and hasattr(item, "compile_from_config"):
        item.compile_from_config(compile_config)
    return item
