"""Keras's networks on TensorFlow, written by tf2onnx and by Keras's own export."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers

from tests.data.onnx.make import ROWS, Inputs, normal

WORDS, STEPS, CLASSES = 40, 10, 5


def _settled(model: Any) -> Any:
    rng = np.random.default_rng(5)
    for variable in model.variables:
        if variable.name in ("moving_mean", "beta", "bias"):
            variable.assign(rng.normal(0, 0.1, variable.shape))
        elif variable.name in ("moving_variance", "gamma"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


def _cnn() -> Any:
    return _settled(
        keras.Sequential(
            [
                layers.Input((16, 16, 3)),
                layers.Rescaling(1 / 2),
                layers.Conv2D(8, 3, padding="same", activation="relu"),
                layers.BatchNormalization(),
                layers.MaxPooling2D(),
                layers.SeparableConv2D(12, 3, strides=2, padding="same", activation="relu6"),
                layers.Conv2D(8, 3, dilation_rate=1, padding="valid", activation="elu"),
                layers.Flatten(),
                layers.Dropout(0.5),
                layers.Dense(CLASSES, activation="softmax"),
            ]
        )
    )


def _sentences() -> Any:
    return np.random.default_rng(6).integers(1, WORDS, (ROWS, STEPS)).astype(np.int32)


def _with_tf2onnx(file: Path, model: Any, rows: Any, opset: int) -> tuple[Inputs, str]:
    signature = [tf.TensorSpec((None, *rows.shape[1:]), rows.dtype, name="input")]
    tf2onnx.convert.from_function(
        tf.function(model, input_signature=signature), input_signature=signature, opset=opset, output_path=str(file)
    )
    return {"input": rows}, f"tf2onnx {tf2onnx.__version__}, tensorflow {tf.__version__}"


def _with_keras(file: Path, model: Any, rows: Any) -> tuple[Inputs, str]:
    model(rows)
    model.export(str(file), format="onnx", verbose=False)
    [name] = [item.name for item in onnx.load(file).graph.input]
    return {name: rows}, f"keras {keras.__version__}, tensorflow {tf.__version__}"


def tf2onnx_cnn(file: Path) -> tuple[Inputs, str]:
    """Channels-last inputs; tf2onnx puts Transpose around convolutions."""
    keras.utils.set_random_seed(1)
    return _with_tf2onnx(file, _cnn(), normal(7, ROWS, 16, 16, 3), 15)


def tf2onnx_lstm(file: Path) -> tuple[Inputs, str]:
    """tf2onnx makes Keras's while loop an LSTM again."""
    keras.utils.set_random_seed(1)
    words = [layers.Input((STEPS,), dtype="int32"), layers.Embedding(WORDS, 8)]
    model = keras.Sequential([*words, layers.LSTM(6), layers.Dense(CLASSES, activation="softmax")])
    return _with_tf2onnx(file, model, _sentences(), 13)


def keras_cnn(file: Path) -> tuple[Inputs, str]:
    """What `Model.export` writes."""
    keras.utils.set_random_seed(2)
    return _with_keras(file, _cnn(), normal(7, ROWS, 16, 16, 3))


def keras_text(file: Path) -> tuple[Inputs, str]:
    """One-dimensional convolutions of words. (Recurrent layers come out of `export` as Loop.)"""
    keras.utils.set_random_seed(2)
    words = [layers.Input((STEPS,), dtype="int32"), layers.Embedding(WORDS, 8)]
    convolutions = [
        layers.Conv1D(6, 3, activation="relu"),
        layers.MaxPooling1D(2),
        layers.Conv1D(6, 2, padding="causal", activation="tanh"),
        layers.GlobalMaxPooling1D(),
    ]
    model = keras.Sequential([*words, *convolutions, layers.Dense(CLASSES, activation="softmax")])
    return _with_keras(file, model, _sentences())
