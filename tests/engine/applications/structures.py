"""Which architectures are compared with Keras's, and a description of a model that can be compared."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

FIXTURE = Path(__file__).parents[2] / "data" / "applications" / "structures.json"

ARCHITECTURES = (
    "DenseNet121", "DenseNet169", "DenseNet201", "InceptionV3", "MobileNet", "MobileNetV2", "ResNet50", "ResNet50V2",
    "ResNet101", "ResNet101V2", "ResNet152", "ResNet152V2", "VGG16", "VGG19", "Xception",
)  # fmt: skip

# By name of the test case: the function and its arguments.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ARCHITECTURES},
    "DenseNet121 pooled": ("DenseNet121", {"include_top": False, "pooling": "max", "input_shape": (64, 96, 3)}),
    "InceptionV3 of any size": ("InceptionV3", {"include_top": False}),
    "MobileNet half as wide": ("MobileNet", {"alpha": 0.5, "depth_multiplier": 2, "input_shape": (160, 160, 3)}),
    "MobileNet pooled": ("MobileNet", {"include_top": False, "pooling": "avg", "classes": 7}),
    "MobileNetV2 wider": ("MobileNetV2", {"alpha": 1.4, "classes": 12, "classifier_activation": None}),
    "MobileNetV2 of odd size": ("MobileNetV2", {"alpha": 0.35, "include_top": False, "input_shape": (75, 98, 3)}),
    "ResNet50 pooled": ("ResNet50", {"include_top": False, "pooling": "avg", "name": "backbone"}),
    "ResNet50V2 pooled": ("ResNet50V2", {"include_top": False, "pooling": "max"}),
    "VGG16 pooled": ("VGG16", {"include_top": False, "pooling": "avg", "input_shape": (None, None, 1)}),
    "Xception pooled": ("Xception", {"include_top": False, "pooling": "max", "input_shape": (71, 80, 3)}),
}

# Functions and arguments whose published weights are compared.
PUBLISHED: list[tuple[str, dict[str, Any]]] = [
    *((name, {"include_top": include_top}) for name in ARCHITECTURES for include_top in (True, False)),
    ("MobileNet", {"alpha": 0.25, "input_shape": (128, 128, 3)}),
    ("MobileNet", {"alpha": 0.75, "input_shape": (160, 160, 3), "include_top": False}),
    ("MobileNet", {"alpha": 0.5, "input_shape": (200, 100, 3), "include_top": False}),
    ("MobileNetV2", {"alpha": 1.4, "input_shape": (96, 96, 3)}),
    ("MobileNetV2", {"alpha": 0.35, "input_shape": (96, 96, 3), "include_top": False}),
]


def structure(model: Any) -> list[list[Any]]:
    """By layer: name, class, number of weights, names of the layers that it takes from, output shape."""
    rows: list[list[Any]] = []
    for layer in model.layers:
        nodes = getattr(layer, "inbound_nodes", None) or layer._inbound_nodes
        sources = [tensor._keras_history.operation.name for tensor in nodes[0].input_tensors]
        rows.append([layer.name, type(layer).__name__, layer.count_params(), sources, list(layer.output.shape)])
    return rows


def digest(rows: list[list[Any]]) -> str:
    """A fingerprint of a structure."""
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def summary(model: Any) -> dict[str, Any]:
    """What the fixture keeps of a model."""
    return {
        "name": model.name,
        "layers": len(model.layers),
        "parameters": model.count_params(),
        "weights": digest([[variable.path, list(variable.shape)] for variable in model.weights]),
        "structure": digest(structure(model)),
    }
