"""The small files that are changed: made here, by exporters (tests/data), and ONNX's own node tests."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

import engine
from engine.onnx.reading.operators import known_operators
from tests.engine.onnx.backend.cases import cases, families
from tests.engine.saving.archives import small_model

DATA = Path(__file__).parents[2] / "data"
_SLOW_FAMILIES = ("attention", "averagepool", "lppool", "maxpool")  # to make


def _functional() -> Any:
    layers, ops = engine.layers, engine.ops
    image, text = engine.Input((6, 6, 2), name="image"), engine.Input((5,), dtype="int32", name="text")
    x = layers.Conv2D(3, 3, padding="same", activation="relu", kernel_regularizer="l2")(image)
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same")(x)])
    x = layers.Conv2DTranspose(2, 2, strides=2)(layers.MaxPooling2D(2)(layers.PReLU(shared_axes=[1, 2])(x)))
    x = layers.GlobalAveragePooling2D()(layers.UpSampling2D(2)(layers.ZeroPadding2D(((1, 0), (0, 1)))(x)))
    y = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(layers.Embedding(7, 3, mask_zero=True)(text))
    y = layers.GRU(2)(layers.Dropout(0.2)(layers.LayerNormalization()(y)))
    z = ops.reshape(ops.concatenate([x, y * 2.0 + 1.0], axis=-1)[:, 1:], (-1, 3))
    model = engine.Model([image, text], {"a": layers.Dense(2, name="a")(z), "b": ops.softmax(z)}, name="net")
    model.compile("adam", {"a": "mse", "b": "categorical_crossentropy"}, metrics={"a": ["mae"]})
    return model


def _sequence() -> Any:
    layers = engine.layers
    return engine.Sequential(
        [
            engine.Input((6, 4)),
            layers.TimeDistributed(layers.Dense(3, kernel_initializer="he_normal", kernel_constraint="max_norm")),
            layers.Conv1D(2, 3, padding="causal", dilation_rate=2),
            layers.RNN([layers.GRUCell(2), layers.SimpleRNNCell(2)], return_sequences=True),
            layers.Reshape((3, -1)),
            layers.Permute((2, 1)),
            layers.Activation("swish"),
            engine.Sequential([layers.Flatten(), layers.RepeatVector(4)], name="inner"),
            layers.Masking(0.5),
            layers.SeparableConv1D(2, 1),
            layers.Cropping1D(1),
        ],
        name="sequence",
    )


@functools.cache
def archives(folder: Path) -> dict[str, bytes]:
    """`.keras` archives by name."""
    made = {"small": small_model(), "functional": _functional(), "sequence": _sequence()}
    found = {path.stem: path.read_bytes() for path in sorted((DATA / "keras").glob("*.keras"))}
    for name, model in made.items():
        model.save(folder / f"{name}.keras")
        found[name] = (folder / f"{name}.keras").read_bytes()
    return found


@functools.cache
def hdf5_models(folder: Path) -> dict[str, bytes]:
    """Whole models in the old layout by name."""
    found = {path.stem: path.read_bytes() for path in sorted((DATA / "keras").glob("*.h5"))}
    _functional().save(folder / "functional.h5")
    return {**found, "functional": (folder / "functional.h5").read_bytes()}


@functools.cache
def weights(folder: Path) -> dict[str, bytes]:
    """Weights of the model that the worker reads them into, by the ending of the file."""
    small = small_model()
    small.save_weights(folder / "small.weights.h5")
    small.save(folder / "old.h5")
    return {
        "weights.h5": (folder / "small.weights.h5").read_bytes(),
        "h5": (folder / "old.h5").read_bytes(),
    }


@functools.cache
def configurations() -> dict[str, Any]:
    """Architectures as JSON values by name: today's form, and the old one."""
    made = {"functional": _functional(), "sequence": _sequence(), "small": small_model()}
    found = {name: json.loads(model.to_json()) for name, model in made.items()}
    return {**found, "old": _of_keras_2()}


def _of_keras_2() -> dict[str, Any]:
    def layer(name: str, *inputs: str, **config: Any) -> dict[str, Any]:
        nodes = [[[item, 0, 0, {}] for item in inputs]] if inputs else []
        inner = {"name": name.lower(), "trainable": True, "dtype": "float32", **config}
        return {"class_name": name, "config": inner, "name": name.lower(), "inbound_nodes": nodes}

    initializer = {"class_name": "GlorotUniform", "config": {"seed": None}}
    layers = [
        layer("InputLayer", batch_input_shape=[None, 6, 6, 2], sparse=False, ragged=False),
        layer("Conv2D", "inputlayer", filters=2, kernel_size=[3, 3], padding="same", activation="relu"),
        layer("BatchNormalization", "conv2d", axis=[3], momentum=0.9, fused=None),
        layer("LeakyReLU", "batchnormalization", alpha=0.1),
        layer("Add", "leakyrelu", "conv2d"),
        layer("Flatten", "add", data_format="channels_last"),
        layer("Dense", "flatten", units=2, kernel_initializer=initializer),
    ]
    ends = {"input_layers": [["inputlayer", 0, 0]], "output_layers": [["dense", 0, 0]]}
    config = {"name": "model", "layers": layers, **ends}
    return {"class_name": "Functional", "config": config, "keras_version": "2.4.0", "backend": "tensorflow"}


def yaml_text() -> bytes:
    """An architecture that Keras 1 wrote."""
    return (DATA / "keras" / "keras1_merges.yaml").read_bytes()


@functools.cache
def exported_graphs() -> dict[str, bytes]:
    """ONNX files of exporters by name."""
    return {path.stem: path.read_bytes() for path in sorted((DATA / "onnx").glob("*.onnx"))}


@functools.cache
def node_graphs() -> list[bytes]:
    """ONNX's node tests of the operators that are known; all inputs but the first are constants, or all of them."""
    known = {name.lower() for _, name in known_operators()}
    found: list[bytes] = []
    for family in families():
        if family.removeprefix("ai_onnx_ml.").split("_")[0] in known and family not in _SLOW_FAMILIES:
            for case in cases(family)[:12]:
                found += [_frozen(case, 1), _frozen(case, 0)]
    return found


def _frozen(case: Any, first: int) -> bytes:
    """The model of a node test, its inputs from one on as constants."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    arrays = case.data_sets[0][0]
    for item, array in list(zip(model.graph.input, arrays, strict=False))[first:]:
        if hasattr(array, "dtype") and array.dtype.kind in "biuf" and array.nbytes < 20_000:
            model.graph.initializer.append(numpy_helper.from_array(array, item.name))
            model.graph.input.remove(item)
    return model.SerializeToString()
