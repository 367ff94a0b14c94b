"""Makes the old model files here, and `outputs.npz`: what the Keras that wrote them computes.

    python make.py                  with tf_keras 2.21 (and TensorFlow): the files `tf_*.h5` and `tf_*.keras`
    python make.py KERAS_1          with the sources of Keras 1.2.2 unpacked in that folder, and TensorFlow 2.12, whose
                                    v1 interface it is run on: the files `keras1_*.h5` and one architecture in YAML

Weights and inputs are random numbers of a fixed seed. Each run keeps what the other has put into `outputs.npz`, by
"file/input/0", "file/output/0" and, of trained models, "file/state/<name of an optimizer's variable>".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
RANDOM = np.random.default_rng(5)


def kept() -> dict[str, Any]:
    """What is in `outputs.npz`."""
    path = FOLDER / "outputs.npz"
    return dict(np.load(path)) if path.exists() else {}


def random_inputs(shapes: list[tuple[int | None, ...]]) -> list[Any]:
    return [RANDOM.normal(size=(3, *shape[1:])).astype("float32") for shape in shapes]


def with_tf_keras() -> None:
    """Models that call TensorFlow's functions, share and nest others, carry states, and were trained."""
    import tensorflow as tf
    import tf_keras as keras

    layers = keras.layers

    def arithmetic() -> Any:
        a = layers.Input((4,))
        x = 1.0 - ((a * 2.0 + 1.0) / 3.0 - a)
        return keras.Model(a, tf.where(x > 0.0, tf.nn.leaky_relu(x, 0.3), 2.0 / (x * x + 1.0)))

    def slices() -> Any:
        a = layers.Input((6, 5, 3))
        first, second = tf.split(a[..., ::-1], [2, 4], axis=1)
        return keras.Model(a, [first[:, 1:5:2, ...], second[:, -1], a[:, None, 2], tf.reduce_mean(a, axis=[1, 2])])

    def shapes() -> Any:
        a = layers.Input((4, 6))
        flat = tf.reshape(a, [tf.shape(a)[0], 24])
        joined = tf.concat([tf.transpose(a, [0, 2, 1]), tf.ones_like(tf.transpose(a, [0, 2, 1]))], axis=1)
        return keras.Model(a, [flat, tf.matmul(a, a, transpose_b=True), tf.stack([joined, joined], axis=1)])

    def image() -> Any:
        a = layers.Input((6, 6, 3))
        return keras.Model(a, [tf.image.resize(a, [9, 7]), tf.pad(a, [[0, 0], [1, 1], [2, 0], [0, 0]])])

    def states() -> Any:
        a, b = layers.Input((5, 3)), layers.Input((4, 2))
        _, h, c = layers.LSTM(4, return_state=True)(a)
        x = layers.LSTM(4, return_sequences=True, recurrent_activation="hard_sigmoid")(b, initial_state=[h, c])
        return keras.Model([a, b], layers.TimeDistributed(layers.Dense(2, activation="softmax"))(x))

    def nested() -> Any:
        i = layers.Input((4,))
        core = keras.Model(i, layers.BatchNormalization()(layers.Dense(4)(i)), name="core")
        middle = keras.Sequential([layers.Input((4,)), core, layers.Dense(3)], name="middle")
        a, b = layers.Input((4,)), layers.Input((4,))
        return keras.Model([a, b], layers.Concatenate()([middle(a), middle(b), core(a)]))

    def recurrent() -> Any:
        gru = layers.GRU(4, reset_after=False, return_sequences=True, go_backwards=True)
        both = layers.Bidirectional(layers.GRU(3), merge_mode="sum")
        return keras.Sequential([layers.Masking(0.5, input_shape=(5, 3)), gru, both, layers.ThresholdedReLU(0.1)])

    def trained(optimizer: Any) -> Callable[[], Any]:
        def make() -> Any:
            model = keras.Sequential([layers.Input((4,)), layers.Dense(3), layers.Dense(2, activation="softmax")])
            loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
            model.compile(optimizer, loss, metrics=["accuracy", keras.metrics.AUC(name="auc", num_thresholds=5)])
            return model

        return make

    old = keras.optimizers.legacy
    models: dict[str, Callable[[], Any]] = {
        "tf_arithmetic.h5": arithmetic,
        "tf_slices.h5": slices,
        "tf_shapes.h5": shapes,
        "tf_image.h5": image,
        "tf_states.h5": states,
        "tf_states.keras": states,
        "tf_nested.h5": nested,
        "tf_recurrent.h5": recurrent,
        "tf_adam.h5": trained(keras.optimizers.Adam(0.01, amsgrad=True)),
        "tf_rmsprop.keras": trained(keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True)),
        "tf_old_adam.h5": trained(old.Adam(0.01, decay=0.1)),
        "tf_old_nadam.h5": trained(old.Nadam(0.01)),
    }
    outputs = kept()
    for name, make in models.items():
        keras.backend.clear_session()
        model = make()
        for weight in model.weights:
            low = 0.5 if "variance" in weight.name else -1.0
            weight.assign(RANDOM.uniform(low, 1.0, size=weight.shape))
        inputs = random_inputs([tensor.shape for tensor in model.inputs])
        if model.optimizer is not None:
            model.train_on_batch(inputs[0], np.eye(2)[[0, 1, 1]])
            variables = model.optimizer.variables
            for variable in variables() if callable(variables) else variables:
                outputs[f"{name}/state/{variable.name}"] = np.asarray(variable)
        results = tf.nest.flatten(model(inputs if len(inputs) > 1 else inputs[0], training=False))
        model.save(FOLDER / name)
        outputs |= {f"{name}/input/{number}": value for number, value in enumerate(inputs)}
        outputs |= {f"{name}/output/{number}": np.asarray(value) for number, value in enumerate(results)}
    np.savez_compressed(FOLDER / "outputs.npz", **outputs)


def with_keras_1(sources: str) -> None:
    """A network of convolutions, recurrent ones, and one that merges in all ways."""
    import collections
    import collections.abc
    import importlib
    import inspect

    # What Keras 1 expects of Python, and of a TensorFlow before 1.0.
    collections.Iterable = collections.abc.Iterable  # type: ignore[attr-defined]
    inspect.getargspec = lambda function: inspect.getfullargspec(function)[:4]  # type: ignore[attr-defined]
    tf = importlib.import_module("tensorflow.compat.v1")
    python = importlib.import_module("tensorflow.python")
    for module in ("training.moving_averages", "ops.tensor_array_ops", "ops.control_flow_ops", "ops.ctc_ops"):
        importlib.import_module(f"tensorflow.python.{module}")
    tf.disable_v2_behavior()
    tf.python, tf.merge_all_summaries = python, tf.summary.merge_all
    tf.pack, tf.unpack, tf.mul, tf.sub, tf.neg = tf.stack, tf.unstack, tf.multiply, tf.subtract, tf.negative
    sys.modules["tensorflow"] = tf
    for name in [name for name in sys.modules if name.split(".")[0] == "keras"]:
        del sys.modules[name]
    os.environ["KERAS_BACKEND"] = "tensorflow"
    sys.path.insert(0, sources)
    backend, layers, models = (importlib.import_module(f"keras.{name}") for name in ("backend", "layers", "models"))
    backend.set_image_dim_ordering("tf")

    def convolutions() -> Any:
        first = layers.Convolution2D(
            4, 3, 2, input_shape=(8, 7, 3), border_mode="same", subsample=(2, 1), W_regularizer="l2"
        )
        spatial = [layers.BatchNormalization(), layers.ZeroPadding2D((1, 2)), layers.MaxPooling2D((2, 2))]
        last = [layers.Dropout(0.3), layers.Flatten(), layers.Dense(3, activation="softmax")]
        return models.Sequential([first, *spatial, *last])

    def lines() -> Any:
        kernels = [layers.Convolution1D(4, 3, input_dim=5, input_length=9), layers.MaxPooling1D(2)]
        return models.Sequential([*kernels, layers.GlobalAveragePooling1D(), layers.Dense(2, bias=False)])

    def recurrent() -> Any:
        both = layers.Bidirectional(layers.LSTM(3, return_sequences=True, consume_less="cpu"), input_shape=(5, 2))
        return models.Sequential([both, layers.GRU(3, return_sequences=True), layers.LSTM(2, consume_less="gpu")])

    def merges() -> Any:
        a, b = layers.Input((4,)), layers.Input((4,))
        dense = layers.Dense(3, activation="tanh")
        x, y = dense(a), dense(b)
        merged = [layers.merge([x, y], mode=mode) for mode in ("concat", "sum", "mul", "max", "ave")]
        return models.Model(input=[a, b], output=layers.Dense(2)(layers.merge(merged, mode="concat")))

    outputs = kept()
    made = {"convolutions": convolutions, "lines": lines, "recurrent": recurrent, "merges": merges}
    for name, make in made.items():
        backend.clear_session()
        model = make()
        model.compile("sgd", "mse")
        for layer in model.layers:
            named = zip(layer.weights, layer.get_weights(), strict=True)
            layer.set_weights([RANDOM.uniform(0.5 if "std" in w.name else -1, 1, size=v.shape) for w, v in named])
        inputs = random_inputs([backend.int_shape(tensor) for tensor in model.inputs])
        file = f"keras1_{name}.h5"
        model.save(str(FOLDER / file))
        if name == "merges":
            (FOLDER / "keras1_merges.yaml").write_text(model.to_yaml())
        outputs |= {f"{file}/input/{number}": value for number, value in enumerate(inputs)}
        outputs[f"{file}/output/0"] = model.predict(inputs if len(inputs) > 1 else inputs[0])
    np.savez_compressed(FOLDER / "outputs.npz", **outputs)


if __name__ == "__main__":
    with_keras_1(sys.argv[1]) if len(sys.argv) > 1 else with_tf_keras()
