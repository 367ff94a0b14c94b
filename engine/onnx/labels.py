"""The names of classes that an ONNX file holds: in scikit-learn's operators, or in its metadata."""

from __future__ import annotations

import json
from typing import Any

_STRINGS = ("classlabels_strings", "classlabels_string", "cats_strings")
_NUMBERS = ("classlabels_int64s", "classlabels_ints")
_METADATA = ("labels", "class_names", "classes", "names")


def class_labels(message: Any) -> tuple[str, ...]:
    """The names of the classes in their order; empty where the file has none.

    Args:
        message: the ModelProto.
    """
    for names in (_STRINGS, _NUMBERS):
        for node in reversed(message.graph.node):
            if node.domain != "ai.onnx.ml":
                continue
            for attribute in node.attribute:
                if attribute.name in names and (attribute.strings or attribute.ints):
                    found = [text.decode("utf-8", "replace") for text in attribute.strings] or attribute.ints
                    return tuple(str(item) for item in found)
    for entry in message.metadata_props:
        if entry.key in _METADATA:
            return _listed(entry.value)
    return ()


def _listed(text: str) -> tuple[str, ...]:
    """Names in a JSON list or object, or separated by commas."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(found, dict):
        try:
            return tuple(str(found[key]) for key in sorted(found, key=int))
        except ValueError:
            return tuple(str(item) for item in found.values())
    return tuple(str(item) for item in found) if isinstance(found, list) else ()
