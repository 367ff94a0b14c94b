"""Architectures as text: JSON of every Keras, and the YAML that Keras wrote up to 2.5."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.registry import serialize
from engine.saving import legacy
from engine.saving.building import built, errors_of

TEXT_LIMIT = 64 << 20
"""Characters above which a text is refused."""
YAML_LIMIT = 8 << 20
"""The same for YAML, which is read far more slowly."""
NODES_LIMIT = 2_000_000
"""How many values a YAML text may stand for when each use of an alias counts for all that it stands for."""
DEPTH_LIMIT = 100
"""How deep YAML may be nested: PyYAML's time grows with the square of it."""
_TUPLE = "tag:yaml.org,2002:python/tuple"


def to_json(model: Any, **options: Any) -> str:
    """A model's architecture in Keras 3's form; `options` go to `json.dumps`."""
    return json.dumps(serialize(model), **options)


def to_yaml(model: Any, **options: Any) -> str:
    """The same as YAML; `options` go to `yaml.safe_dump`. Keras itself writes no YAML any more."""
    import yaml

    return str(yaml.safe_dump(json.loads(to_json(model)), **options))


def model_from_config(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model of the architecture that a config describes, with new weights.

    Args:
        config: {"class_name": …, "config": …}, in the form of Keras 3, of Keras 2, of TensorFlow's Keras or of Keras 1:
            "module" or "keras_version" in it tell.
        custom_objects: your classes and functions by the name that the config uses.

    Raises:
        ValueError: it is no model's config.
        TypeError: it names a class that is not registered.
    """
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str) or "config" not in config:
        raise ValueError(f"Expected the config of a model, with class_name and config. Received: {shown(config)}")
    place = f"the config of {config['class_name']!r}"
    with errors_of(place):
        version = version_of(config)
        fields = {key: value for key, value in config.items() if key not in ("keras_version", "backend")}
        fields = fields if _is_present(fields) else legacy.modernised(fields, version)
    return built(fields, custom_objects, place)


def version_of(config: dict[str, Any]) -> tuple[int, int]:
    """The version of Keras that wrote a config; Keras 1 for those that do not say, as that did not."""
    text = config.get("keras_version")
    if text is None:
        return (3, 0) if _is_present(config) else legacy.KERAS_1
    return legacy.parsed_version(text)


def _is_present(config: dict[str, Any]) -> bool:
    return "module" in config and "registered_name" in config


def model_from_json(json_string: str | bytes, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model of the architecture in a JSON text of any Keras; see `model_from_config`.

    Raises:
        ValueError: it is no JSON, or larger than `TEXT_LIMIT`.
    """
    return model_from_config(parsed_json(json_string), custom_objects)


def parsed_json(text: str | bytes) -> Any:
    """The value of a JSON text."""
    if len(text) > TEXT_LIMIT:
        raise ValueError(f"The JSON text has {len(text)} characters; at most {TEXT_LIMIT} are read.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The text is not valid JSON: {error}") from None


def model_from_yaml(yaml_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A model of the architecture in a YAML text, as Keras 1 and 2 (to 2.5) wrote it; see `model_from_config`.

    Raises:
        ValueError: it is no YAML, larger than `YAML_LIMIT`, or has tags other than that of tuples: nothing that a text
            names is ever made.
    """
    return model_from_config(parsed_yaml(yaml_string), custom_objects)


def parsed_yaml(text: str) -> Any:
    """The plain value of a YAML text."""
    import yaml

    if len(text) > YAML_LIMIT:
        raise ValueError(f"The YAML text has {len(text)} characters; at most {YAML_LIMIT} are read.")
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as error:
        raise ValueError(f"The text is not valid YAML: {error}") from None
    _limit_depth(loader)
    try:
        root = loader.get_single_node()
        if root is None:
            raise ValueError("The YAML text is empty.")
        _check(root)
        return loader.construct_document(root)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"The text is not valid YAML: {error}") from None
    finally:
        loader.dispose()


def _limit_depth(loader: Any) -> None:
    """Makes a loader refuse deep nests before it has spent its time on them."""
    compose, depth = loader.compose_node, 0

    def compose_node(parent: Any, index: Any) -> Any:
        nonlocal depth
        depth += 1
        if depth > DEPTH_LIMIT:
            raise ValueError(f"The YAML text is nested more than {DEPTH_LIMIT} deep.")
        node = compose(parent, index)
        depth -= 1
        return node

    loader.compose_node = compose_node


def _check(root: Any) -> None:
    """Makes sequences of tuples; refuses what stands for too much, or contains itself."""
    import yaml

    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: Any) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_nodes:
            raise ValueError("The YAML text has a value that contains itself.")
        open_nodes.add(id(node))
        total = 1
        if isinstance(node, yaml.SequenceNode):
            if node.tag == _TUPLE:
                node.tag = "tag:yaml.org,2002:seq"
            total += sum(size(item) for item in node.value)
        elif isinstance(node, yaml.MappingNode):
            total += sum(size(key) + size(value) for key, value in node.value)
        if total > NODES_LIMIT:
            raise ValueError(f"The YAML text stands for more than {NODES_LIMIT} values.")
        open_nodes.discard(id(node))
        sizes[id(node)] = total
        return total

    size(root)


def shown(value: Any) -> str:
    """A value as an error shows it, shortened."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
