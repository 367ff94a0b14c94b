"""Models that both engines can build: each function takes `keras` or `engine`."""

from __future__ import annotations

from typing import Any


def classifier(k: Any, regularizer: str | None = None) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((12, 12, 1)),
            layers.Conv2D(4, 3, activation="relu", kernel_regularizer=regularizer),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def branches(k: Any) -> Any:
    """Two named inputs, a shared layer, an operator, an inner model, two named outputs."""
    layers = k.layers
    a, b = k.Input((8,), name="a"), k.Input((8,), name="b")
    shared = layers.Dense(4, name="shared")
    joined = layers.Add()([shared(a), shared(b)])
    inner = k.Sequential([layers.Dense(3)])
    return k.Model({"a": a, "b": b}, {"o": inner(layers.Dense(4)(joined) * 2.0), "p": joined}, name="branches")


def nested(k: Any) -> Any:
    """An inner functional model, called twice, whose outputs are used in part."""
    layers = k.layers
    i = k.Input((4,), name="i")
    inner = k.Model(i, [layers.Dense(3, name="d")(i), layers.Dense(2, name="e")(i)], name="inner")
    j = k.Input((4,), name="j")
    first, second = inner(j), inner(layers.Dense(4, name="pre")(j))
    joined = layers.Concatenate(name="joined")([first[0], second[0]])
    return k.Model([j], [joined, first[1], second[1], layers.Dropout(0.1)(first[0], training=True)], name="outer")


def residual(k: Any) -> Any:
    layers = k.layers
    x = inputs = k.Input((8, 8, 3))
    for _ in range(2):
        before = x
        x = layers.Conv2D(3, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
        x = layers.Add()([x, before])
    return k.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)) + 1.0)


def operators(k: Any) -> Any:
    inputs = k.Input((4,))
    h = k.ops.relu(inputs) - k.ops.mean(inputs, axis=-1, keepdims=True)
    h = k.ops.concatenate([h, inputs[:, :2]], axis=-1)
    return k.Model(inputs, k.ops.reshape(h, (-1, 3, 2)))


def idle_input(k: Any) -> Any:
    """An input that leads nowhere."""
    used, idle = k.Input((4,), name="used"), k.Input((2,), name="idle")
    return k.Model([used, idle], k.layers.Dense(2)(used))
