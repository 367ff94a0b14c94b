"""The networks in Keras's language: `keras` is the engine or Keras itself, so both get the same calls."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.networks.shapes import (
    CHARACTERS,
    EMBEDDING,
    MNIST_CLASSES,
    MNIST_SIDE,
    STEPS,
    TRAINING_CLASSES,
    TRAINING_SIDE,
    UNITS,
)

APPLICATIONS = ("ResNet50", "MobileNetV2", "VGG16")
TRAINED = ("mnist_cnn", "mlp", "char_lstm", "resnet50")

DROPOUT = {"mnist_cnn": 0.5, "mlp": 0.2, "char_lstm": 0.0, "resnet50": 0.0}
"""The share of values that dropout zeroes; where it is 0 the network has none."""


def application(keras: Any, name: str) -> Any:
    """One of Keras's applications for ImageNet, with random weights."""
    return getattr(keras.applications, name)(weights=None)


def trained(keras: Any, name: str, dropout: float) -> Any:
    """One of the networks whose training is measured, not compiled."""
    layers = keras.layers
    if name == "resnet50":
        side = (TRAINING_SIDE, TRAINING_SIDE, 3)
        return keras.applications.ResNet50(weights=None, input_shape=side, classes=TRAINING_CLASSES)
    if name == "mnist_cnn":
        stack = [
            keras.Input((MNIST_SIDE, MNIST_SIDE, 1)),
            layers.Conv2D(32, 3, activation="relu", name="conv1"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu", name="conv2"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(MNIST_CLASSES, activation="softmax", name="predictions"),
        ]
    elif name == "mlp":
        stack = [
            keras.Input((MNIST_SIDE * MNIST_SIDE,)),
            layers.Dense(512, activation="relu", name="fc1"),
            layers.Dropout(dropout),
            layers.Dense(512, activation="relu", name="fc2"),
            layers.Dropout(dropout),
            layers.Dense(MNIST_CLASSES, activation="softmax", name="predictions"),
        ]
    elif name == "char_lstm":
        stack = [
            keras.Input((STEPS,), dtype="int32"),
            layers.Embedding(CHARACTERS, EMBEDDING, name="embedding"),
            layers.LSTM(UNITS, name="lstm"),
            layers.Dense(CHARACTERS, activation="softmax", name="predictions"),
        ]
    else:
        raise ValueError(f"expected one of {', '.join(TRAINED)}, got {name!r}")
    return keras.Sequential(stack)


def named_variables(model: Any) -> dict[str, Any]:
    """A model's variables by `layer/variable`."""
    return {f"{layer.name}/{variable.name}": variable for layer in model.layers for variable in layer.weights}
