"""What a Keras configuration lists: layers with their classes and problems, and the model's inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.inspection.report import Tensor
from engine.inspection.shapes import Shape, followed
from engine.naming import to_snake_case
from engine.registry import UnknownNameError, retrieve
from engine.saving import legacy

OUR_ROOT = "beagle"
"""Where the modules of classes lie that Keras does not have."""


@dataclass
class Layer:
    """A layer as a configuration describes it.

    Attributes:
        name: with the names of the models around it before it, "outer/inner".
        own_name: without these.
        kind: its class.
        path: where an archive keeps its variables.
        models: the names of the models around it, the outermost first.
        problem: why it cannot be made; None where it can, as far as that shows.
        shape: of its output, where the configuration tells.
        config: its own configuration.
        is_ours: whether it is a layer of this engine's own, which Keras does not know.
    """

    name: str
    own_name: str
    kind: str
    path: str
    models: tuple[str, ...]
    problem: str | None = None
    shape: Shape | None = None
    config: dict[str, Any] = field(default_factory=dict)
    is_ours: bool = False


def layers_of(config: Any, version: tuple[int, int]) -> list[Layer]:
    """All layers of a model's configuration, those of nested models after the model.

    Raises:
        ValueError: it is no configuration of a sequential or functional model.
    """
    inner = config.get("config") if isinstance(config, dict) else None
    entries = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, dict) else None
    if not isinstance(entries, list):
        return [_single(config, version)]
    return list(_walk(config, version, "", ()))


def _single(config: Any, version: tuple[int, int]) -> Layer:
    """A model that is a class of its own, of whose layers its configuration says nothing."""
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        raise ValueError("The configuration describes no model.")
    inner = _inner(config)
    name = str(inner.get("name", config["class_name"]))
    return Layer(name, name, config["class_name"], "", (), _problem(config, version), None, inner)


def _inner(entry: dict[str, Any]) -> dict[str, Any]:
    """A layer's own configuration."""
    inner = entry.get("config")
    return inner if isinstance(inner, dict) else {}


def _entries(config: dict[str, Any]) -> list[Any]:
    inner = config["config"]
    entries = inner if isinstance(inner, list) else inner.get("layers")
    return entries if isinstance(entries, list) else []


def _is_model(entry: Any) -> bool:
    inner = entry.get("config")
    return isinstance(inner, dict) and isinstance(inner.get("layers"), list) and "cell" not in inner


def _walk(config: dict[str, Any], version: tuple[int, int], path: str, models: tuple[str, ...]) -> Iterator[Layer]:
    used: dict[str, int] = {}
    entries = _entries(config)
    shapes = _shapes(entries)
    is_sequence = config.get("class_name") == "Sequential"
    previous: Shape | None = None
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
            raise ValueError(f"The configuration lists {entry!r:.100} as a layer.")
        kind = entry["class_name"].rsplit(">", 1)[-1]
        inner = _inner(entry)
        name = str(entry.get("name") or inner.get("name") or kind)
        shape = _declared(inner) if kind == "InputLayer" else shapes.get(name)
        if shape is None:
            given = previous if is_sequence else _first_input(entry, shapes)
            shape = followed(_present(kind), inner, given or _built_for(entry) or _declared(inner))
        if is_sequence:
            previous = shape
        if shape is not None:
            shapes.setdefault(name, shape)
        own = ""
        if not _is_operation(entry) and not (kind == "InputLayer" and is_sequence):
            own = f"{path}layers/{_numbered(to_snake_case(kind), used)}"
        nested = _is_model(entry)
        problem = None if nested else _problem(entry, version)
        ours = any(str(item.get("module") or "").split(".")[0] == OUR_ROOT for item in _objects(entry)) and not nested
        yield Layer("/".join([*models, name]), name, kind, own, models, problem, shape, inner, ours)
        if nested:
            yield from _walk(entry, version, f"{own}/", (*models, name))


def _is_operation(entry: dict[str, Any]) -> bool:
    return ".ops." in f"{entry.get('module') or ''}."


def _numbered(name: str, used: dict[str, int]) -> str:
    used[name] = used.get(name, -1) + 1
    return f"{name}_{used[name]}" if used[name] else name


# Shapes -----------------------------------------------------------------------------------------------------------


def _declared(config: dict[str, Any]) -> Shape | None:
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    return _as_shape(shape)


def _built_for(entry: dict[str, Any]) -> Shape | None:
    """The shape that a layer says it was built for."""
    build_config = entry.get("build_config")
    return _as_shape(build_config.get("input_shape")) if isinstance(build_config, dict) else None


def _present(kind: str) -> str:
    """A class's name of today."""
    return kind.removesuffix("V1").removesuffix("V2")


def _as_shape(shape: Any) -> Shape | None:
    if isinstance(shape, dict):  # a tuple, as Keras 3's old writer has it
        shape = shape.get("items")
    if not isinstance(shape, (list, tuple)) or not all(item is None or type(item) is int for item in shape):
        return None
    return tuple(shape)


def _shapes(entries: list[Any]) -> dict[str, Shape]:
    """Shapes of outputs by layer, as far as calls and what layers were built for tell."""
    found: dict[str, Shape] = {}
    waiting: list[Any] = [entry.get("inbound_nodes") for entry in entries if isinstance(entry, dict)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict) and item.get("class_name") == "__keras_tensor__":
            inner = item.get("config")
            history = inner.get("keras_history") if isinstance(inner, dict) else None
            shape = _as_shape(inner.get("shape")) if isinstance(inner, dict) else None
            if isinstance(history, list) and history and shape is not None and history[-1] == 0:
                found.setdefault(str(history[0]), shape)
        elif isinstance(item, dict):
            waiting += item.values()
    return found


def _first_input(entry: dict[str, Any], shapes: dict[str, Shape]) -> Shape | None:
    """The shape of the first tensor of a layer's first call."""
    item: Any = entry.get("inbound_nodes")
    while isinstance(item, (list, dict)) and item:
        if isinstance(item, dict):
            if item.get("class_name") == "__keras_tensor__":
                return _as_shape(item.get("config", {}).get("shape"))
            item = item.get("args")
        elif isinstance(item[0], str):
            return shapes.get(item[0])
        else:
            item = item[0]
    return None


# Problems ---------------------------------------------------------------------------------------------------------


def _problem(entry: dict[str, Any], version: tuple[int, int]) -> str | None:
    """Why a layer cannot be made."""
    fields = {key: value for key, value in entry.items() if key not in ("name", "inbound_nodes")}
    try:
        if version < (3, 0) or "module" not in fields:
            fields = legacy.modernised({**fields}, version, "layer")
        if fields.get("class_name") == "TFOpLambda" or fields.get("class_name") == "SlicingOpLambda":
            legacy.check_function(fields["config"].get("function"))
        for item in _objects(fields):
            _check(item)
    except UnknownNameError as error:
        return str(error).split(". ", 1)[0] + "."
    except (ValueError, TypeError, AttributeError) as error:
        return str(error)
    return None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if isinstance(item.get("class_name"), str) and "config" in item:
                yield item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def _check(item: dict[str, Any]) -> None:
    """Raises UnknownNameError or ValueError where an object of a configuration cannot be made."""
    name, module, known_as = item["class_name"], item.get("module"), item.get("registered_name")
    if name == "__lambda__":
        raise ValueError("It holds Python code, which is never taken from files.")
    if name.startswith("__"):
        return
    if name == "function":
        retrieve(str(item["config"]), module, known_as if known_as != "function" else None)
    else:
        retrieve(name, module or "keras.layers", known_as)


# Ends -------------------------------------------------------------------------------------------------------------


def inputs_of(config: dict[str, Any], layers: list[Layer]) -> tuple[Tensor, ...]:
    """The model's inputs in their order."""
    top = {layer.own_name: layer for layer in layers if not layer.models}
    inner = config.get("config")
    ends = _names(inner.get("input_layers")) if isinstance(inner, dict) else []
    found = [top[name] for name in ends if name in top]
    if not ends:
        found = [layer for layer in top.values() if layer.kind == "InputLayer"][:1]
    if found:
        return tuple(Tensor(item.own_name, item.shape or (), _dtype(item.config)) for item in found)
    first = next(iter(top.values()), None)
    shape = _declared(first.config) if first is not None else None
    shape = shape or (_as_shape(inner.get("build_input_shape")) if isinstance(inner, dict) else None)
    return (Tensor(f"{first.own_name}_input", shape, _dtype(first.config)),) if first and shape else ()


def outputs_of(config: dict[str, Any], layers: list[Layer]) -> tuple[Tensor, ...]:
    """The model's outputs in their order; without shapes where the file does not tell them."""
    top = {layer.own_name: layer for layer in layers if not layer.models}
    inner = config.get("config")
    ends = _names(inner.get("output_layers")) if isinstance(inner, dict) else []
    names = ends or list(top)[-1:]
    return tuple(Tensor(name, top[name].shape or (), _dtype(top[name].config)) for name in names if name in top)


def _names(item: Any) -> list[str]:
    """The names in a nest of [layer, call, number]."""
    if isinstance(item, dict):
        return [name for value in item.values() for name in _names(value)]
    if isinstance(item, list) and len(item) == 3 and isinstance(item[0], str):
        return [item[0]]
    return [name for value in item for name in _names(value)] if isinstance(item, list) else []


def _dtype(config: dict[str, Any]) -> str:
    dtype = config.get("dtype") or config.get("input_dtype") or ""
    if isinstance(dtype, dict):
        inner = dtype.get("config")
        dtype = inner.get("name", "") if isinstance(inner, dict) else ""
    return str(dtype)
