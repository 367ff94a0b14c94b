"""Models that travel between Keras and us: each is written once and made by either library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Architecture(NamedTuple):
    """`make(library)` makes the model with `engine` or `keras`; `inputs` are the shapes of what it is called on."""

    make: Callable[[Any], Any]
    inputs: dict[str, Shape] | list[Shape] | Shape

    @property
    def name(self) -> str:
        return self.make.__name__

    def data(self, rows: int = 4, seed: int = 0) -> Any:
        """Random inputs, in the nest in which the model takes them."""
        rng = np.random.default_rng(seed)

        def draw(shape: Shape) -> np.ndarray[Any, Any]:
            return rng.normal(size=(rows, *shape)).astype(np.float32)

        if isinstance(self.inputs, dict):
            return {name: draw(shape) for name, shape in self.inputs.items()}
        if isinstance(self.inputs, list):
            return [draw(shape) for shape in self.inputs]
        return draw(self.inputs)


def randomise(model: Any, seed: int = 1) -> None:
    """Gives all weights random values that any of them may have, a variance included."""
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(0.1, 0.9, weight.shape).astype(weight.dtype) for weight in model.get_weights()]
    model.set_weights([weight * (0.2 if weight.ndim > 1 else 1.0) for weight in weights])


def convolutional(library: Any) -> Any:
    """A sequence of every layer of convolutional networks, with unusual options."""
    layers = library.layers
    return library.Sequential(
        [
            library.Input((12, 10, 4), name="image"),
            layers.Rescaling(0.5, offset=-0.25),
            layers.ZeroPadding2D(((1, 0), (2, 1))),
            layers.Conv2D(6, (3, 2), strides=(2, 1), padding="same", activation="relu"),
            layers.BatchNormalization(momentum=0.9, epsilon=0.01, name="normal"),
            layers.Conv2D(6, 3, dilation_rate=2, padding="same", groups=3, use_bias=False, kernel_regularizer="l2"),
            layers.BatchNormalization(center=False),
            layers.ReLU(max_value=6.0, negative_slope=0.1),
            layers.MaxPooling2D(2, strides=1, padding="same"),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.AveragePooling2D((2, 1)),
            layers.Dropout(0.4, seed=3),
            layers.Activation("tanh"),
            layers.Reshape((-1, 4)),
            layers.Flatten(),
            layers.Dense(7, kernel_initializer=library.initializers.HeNormal(seed=2), kernel_constraint="non_neg"),
            layers.LeakyReLU(negative_slope=0.3),
            layers.Dense(5, activity_regularizer=library.regularizers.L1L2(0.1, 0.2)),
            layers.Softmax(),
        ],
        name="digits",
    )


def unnamed_input(library: Any) -> Any:
    """A sequence that was built by its first call, not from an `Input`."""
    model = library.Sequential([library.layers.Dense(4, activation="gelu"), library.layers.Dense(2)])
    model.build((None, 3))
    return model


def residual(library: Any) -> Any:
    """Branches that merge, and a global mean."""
    layers = library.layers
    inputs = library.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    y = layers.BatchNormalization()(x)
    y = layers.Conv2D(4, 3, padding="same")(layers.Activation("relu")(y))
    x = layers.Add(name="sum")([x, y])
    x = layers.Concatenate(axis=-1)([x, layers.Multiply()([x, y]), layers.Maximum()([x, y])])
    outputs = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return library.Model(inputs, outputs, name="residual")


def several_as_lists(library: Any) -> Any:
    """Two inputs and two outputs, in lists."""
    layers = library.layers
    left, right = library.Input((5,), name="left"), library.Input((3,), name="right")
    joined = layers.Concatenate()([layers.Dense(4)(left), layers.Dense(4)(right)])
    outputs = [layers.Dense(2, name="first")(joined), layers.Dense(1, name="second")(joined)]
    return library.Model([left, right], outputs)


def several_as_dictionaries(library: Any) -> Any:
    """Inputs and outputs by name, in an order that is not the alphabet's."""
    layers = library.layers
    right, left = library.Input((3,), name="right"), library.Input((5,), name="left")
    joined = layers.Average()([layers.Dense(4)(left), layers.Dense(4)(right)])
    outputs = {"probability": layers.Dense(2, activation="softmax")(joined), "length": layers.Dense(1)(joined)}
    return library.Model({"right": right, "left": left}, outputs)


def shared_layer(library: Any) -> Any:
    """One layer called on two inputs."""
    shared = library.layers.Dense(4, activation="relu", name="twice")
    a, b = library.Input((6,)), library.Input((6,))
    return library.Model([a, b], library.layers.Subtract()([shared(a), shared(b)]))


def nested(library: Any) -> Any:
    """A functional model inside a functional model, called twice, beside a sequential one."""
    layers = library.layers
    inner_inputs = library.Input((4,))
    inner = library.Model(inner_inputs, layers.Dense(3)(layers.BatchNormalization()(inner_inputs)), name="inner")
    body = library.Sequential(
        [library.Input((3,)), layers.Dense(3, name="only"), layers.BatchNormalization()], name="body"
    )
    inputs = library.Input((4,))
    first = inner(inputs)
    again = inner(layers.Dense(4)(first))
    return library.Model(inputs, layers.Add()([body(first), again]), name="outer")


def model_as_end(library: Any) -> Any:
    """A functional model whose output is another's, and a sequence that begins with a model."""
    layers = library.layers
    inner_inputs = library.Input((4,), name="features")
    inner = library.Model(inner_inputs, layers.Dense(3)(inner_inputs), name="inner")
    inputs = library.Input((4,))
    middle = library.Model(inputs, inner(layers.Dense(4)(inputs)), name="middle")
    return library.Sequential([middle, layers.Dense(2)])


def with_operators(library: Any) -> Any:
    """Arithmetic and functions on placeholders."""
    ops = library.ops
    inputs = library.Input((4, 6))
    x = library.layers.Dense(6)(inputs)
    x = (x + 1) * 2.0 - inputs / 3.0
    x = 1.0 - x
    x = ops.relu(x[:, 1:, ::2])
    x = ops.concatenate([x, ops.transpose(x, (0, 1, 2))], axis=-1)
    x = ops.mean(x, axis=1, keepdims=True)
    x = ops.reshape(x, (-1, 6))
    return library.Model(inputs, ops.softmax(library.layers.Dense(3)(x)))


def frozen(library: Any) -> Any:
    """Frozen layers between trainable ones, and a frozen model."""
    layers = library.layers
    inner_inputs = library.Input((4,))
    inner = library.Model(inner_inputs, layers.BatchNormalization()(layers.Dense(4)(inner_inputs)), name="inner")
    inputs = library.Input((4,))
    x = inner(layers.Dense(4, name="open")(inputs))
    x = layers.BatchNormalization(name="closed")(x)
    inner.trainable = False
    model = library.Model(inputs, layers.Dense(2)(x))
    model.get_layer("closed").trainable = False
    return model


def other_dtypes(library: Any) -> Any:
    """Layers in precisions of their own."""
    layers = library.layers
    return library.Sequential(
        [
            library.Input((4,)),
            layers.Dense(4, dtype="bfloat16"),
            layers.Dense(3, dtype="mixed_bfloat16"),
            layers.Dense(2),
        ]
    )


ARCHITECTURES = [
    Architecture(convolutional, (12, 10, 4)),
    Architecture(unnamed_input, (3,)),
    Architecture(residual, (8, 8, 3)),
    Architecture(several_as_lists, [(5,), (3,)]),
    Architecture(several_as_dictionaries, {"right": (3,), "left": (5,)}),
    Architecture(shared_layer, [(6,), (6,)]),
    Architecture(nested, (4,)),
    Architecture(model_as_end, (4,)),
    Architecture(with_operators, (4, 6)),
    Architecture(frozen, (4,)),
    Architecture(other_dtypes, (4,)),
]
