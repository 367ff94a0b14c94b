"""Edits of JSON values, such as configurations: other types, numbers, names and nests."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from engine import layers
from tests.engine.fuzz.edits import Edit, chosen


def _nest(depth: int, make: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = make(value)
    return value


def _object(name: str, module: str | None = "keras.layers", /, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


_CODE = {"class_name": "__lambda__", "config": {"code": "4wEAAA==", "defaults": None, "closure": None}}
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 255, -(1 << 31), 1 << 31, (1 << 63) - 1, 1 << 63, 10**9, 10**12, 10**30, 0.5,
    -0.0, 1e-300, 1e308, float("nan"), float("inf"), "", "x", "relu", "float16", "channels_first", "same", "\ud800",
    "../../../etc/passwd", "/dev/zero", "os", "a" * 10_000, [], {}, [[]], [None], [0], [1, 1], [2, 3], [-1, 7], [10**9],
    [10**6] * 5, [None, None, 3], [None, 10**7, 10**7, 3], list(range(3000)), {"": None}, {"class_name": "Dense"},
    _nest(90, lambda inner: [inner]), _nest(90, lambda inner: {"config": inner, "class_name": "Sequential"}),
    _nest(250, lambda inner: [inner]), _CODE,
    _object("Lambda", function=_CODE), _object("Popen", "subprocess", args=["true"]), _object("Dense", units=10**9),
    _object("Dense", units=2), _object("TorchModuleWrapper", module="gASVBAAAAAAAAABLAS4="),
    _object("TFSMLayer", filepath="/"), _object("Embedding", input_dim=10**9, output_dim=10**9),
    _object("Reshape", target_shape=[-1, 10**18]), _object("RepeatVector", n=10**15), _object("Identity", "keras.ops"),
    _object("Adam", "keras.optimizers", learning_rate="x"), _object("Sequential", "keras", layers=[]),
    _object("GlorotUniform", "keras.initializers", seed={}), _object("relu", "keras.activations"),
    {"class_name": "__keras_tensor__", "config": {"shape": [None, 3], "dtype": "int8", "keras_history": ["x", 0, 0]}},
    {"class_name": "__numpy__", "config": {"value": [[1.0, 2.0], [3.0]], "dtype": "float32"}},
    {"class_name": "__numpy__", "config": {"value": [1, 2], "dtype": "object"}},
    {"class_name": "__tensor__", "config": {"value": [1e400], "dtype": "int8"}},
    {"class_name": "__tuple__", "config": {}}, {"class_name": "__tuple__", "items": [1, 2]},
    {"class_name": "__bytes__", "config": {"value": "x"}}, {"class_name": "__ellipsis__", "config": {}},
    {"class_name": "__slice__", "config": {"start": 0, "stop": 1 << 70, "step": 0}},
    {"class_name": "function", "module": "builtins", "config": "eval", "registered_name": "function"},
)  # fmt: skip
_NAMES = tuple(sorted(name for name in layers.__all__ if name[0].isupper()))

Site = tuple[Any, Any]
"""A list or dictionary, and an index or key of it."""


def _sites(root: Any) -> list[Site]:
    found: list[Site] = []
    waiting = [root]
    while waiting and len(found) < 20_000:
        item = waiting.pop()
        keys = item.keys() if isinstance(item, dict) else range(len(item))
        for key in list(keys):
            found.append((item, key))
            if isinstance(item[key], (dict, list)):
                waiting.append(item[key])
    return found


def _replaced(sites: list[Site], site: Site, edit: Edit) -> None:
    site[0][site[1]] = copy.deepcopy(chosen(VALUES, edit.choice))


def _deleted(sites: list[Site], site: Site, edit: Edit) -> None:
    del site[0][site[1]]


def _copied(sites: list[Site], site: Site, edit: Edit) -> None:
    """Puts what is elsewhere here, too: the same object, or a copy."""
    other = chosen(sites, edit.choice)
    site[0][site[1]] = copy.deepcopy(other[0][other[1]])


def _wrapped(sites: list[Site], site: Site, edit: Edit) -> None:
    value = site[0][site[1]]
    kinds = (lambda: [value], lambda: {"config": value}, lambda: [value, value], lambda: {"class_name": value})
    site[0][site[1]] = chosen(kinds, edit.choice)()


def _added(sites: list[Site], site: Site, edit: Edit) -> None:
    value = copy.deepcopy(chosen(VALUES, edit.choice))
    if isinstance(site[0], list):
        site[0].insert(site[1], value)
    else:
        site[0][chosen(("evil", "name", "config", "units", "layers", "dtype", "seed", "arguments"), edit.choice)] = (
            value
        )


def _renamed(sites: list[Site], site: Site, edit: Edit) -> None:
    """Gives an object another class, or a key the name of another."""
    container, key = site
    if isinstance(container, dict) and "class_name" in container:
        container["class_name"] = chosen(_NAMES, edit.choice)
    elif isinstance(container, dict):
        other = chosen(sites, edit.choice)[1]
        container[str(other)] = container.pop(key)


def _changed_number(sites: list[Site], site: Site, edit: Edit) -> None:
    numbers = [(item, key) for item, key in sites if type(item[key]) in (int, float)]
    if numbers:
        item, key = chosen(numbers, edit.place)
        item[key] = chosen((0, -1, 1, 7, 10**5, 10**9, 1 << 62, 1 << 64, 10**40, 1e300, -5, 0.5), edit.choice)


JSON: dict[str, Callable[[list[Site], Site, Edit], None]] = {
    "JSON added": _added,
    "JSON copied": _copied,
    "JSON deleted": _deleted,
    "JSON number": _changed_number,
    "JSON renamed": _renamed,
    "JSON replaced": _replaced,
    "JSON wrapped": _wrapped,
}


def json_edited(value: Any, edits: Sequence[Edit]) -> Any:
    """A JSON value after some edits of the kinds `JSON`; others are passed over."""
    changed = copy.deepcopy(value)
    for edit in edits:
        sites = _sites(changed) if isinstance(changed, (dict, list)) else []
        if edit.kind in JSON and sites:
            with contextlib.suppress(RecursionError):  # it cannot be copied
                JSON[edit.kind](sites, chosen(sites, edit.place), edit)
    return changed


def json_text(value: Any) -> bytes:
    """The text of a value; of one that is nested too deeply to be written, brackets as deep."""
    try:
        return json.dumps(value).encode()
    except RecursionError:
        return b"[" * 5000
