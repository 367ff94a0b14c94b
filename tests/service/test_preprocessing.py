"""Which preprocessing a model file is guessed to want, on which evidence; the modes' numbers are Keras's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import layers
from engine.applications.imagenet_utils import preprocess_input
from service.adding.evidence import Evidence, gather_evidence
from service.adding.preprocessing import MODE_OF_NAME, Color, guess_color, guess_mode, preprocessing_of
from service.adding.probes import prepared, probe_images
from service.adding.statistics import fitting_mode
from service.architectures import architecture_names, find_architecture


def evidence(**fields: Any) -> Evidence:
    return Evidence(**({"path": Path("file"), "size": (224, 224)} | fields))


KERAS = {"format": "Keras archive", "written_by": "keras 3.15.1"}
TORCH = {"format": "ONNX", "written_by": "pytorch 2.13"}
RANGE = {"metadata": {"Image.NominalPixelRange": "Normalized_0_1"}}


@pytest.mark.parametrize(
    ("found", "mode"),
    [
        (KERAS, "tf"),
        (KERAS | {"names": ("my-ResNet-50 (2)",)}, "caffe"),
        (KERAS | {"names": ("resnet50v2_best",)}, "tf"),
        (KERAS | {"names": ("resnet500",)}, "tf"),
        (KERAS | {"names": ("model", "densenet121")}, "torch"),
        (KERAS | {"names": ("efficientnetb0",)}, "none"),
        (KERAS | {"names": ("resnet50",), "front": ("InputLayer", "Rescaling")}, "none"),
        (KERAS | {"size": (32, 32)}, "scale"),
        (KERAS | {"size": (32, 32), "fitting": "none"}, "none"),
        (KERAS | {"whole_numbers": True}, "none"),
        (TORCH, "torch"),
        (TORCH | {"names": ("resnet50",)}, "torch"),
        (TORCH | RANGE, "scale"),
        (TORCH | {"size": (32, 32), "channels": 1}, "scale"),
        (TORCH | {"front": ("Sub", "Div")}, "none"),
        (TORCH | {"channels": 1}, "scale"),
        ({"format": "ONNX", "written_by": "tf2onnx 1.16"}, "tf"),
        ({"format": "ONNX", "written_by": "onnx-caffe2"}, "caffe"),
        ({"format": "ONNX", "names": ("resnet50",)}, "torch"),
    ],
)
def test_the_surest_evidence_decides(found: dict[str, Any], mode: str) -> None:
    decision = guess_mode(None, evidence(**found))
    assert decision.value == mode
    assert decision.flag == "--preprocess"
    assert guess_mode("none", evidence(**found)).value == "none"


def test_colours_follow_the_mode_the_file_and_the_user() -> None:
    bgr = evidence(metadata={"Image.BitmapPixelFormat": "Bgr8"})
    assert guess_color(None, "caffe", evidence()).value == "bgr"
    assert guess_color(None, "torch", evidence()).value == "rgb"
    assert guess_color(None, "torch", bgr).value == "bgr"
    assert guess_color("rgb", "caffe", bgr).value == "rgb"
    assert guess_color(None, "none", evidence(channels=1)).value == "grey"


def test_the_table_of_names_says_what_the_networks_own_functions_do() -> None:
    for name in architecture_names():
        known = evidence(names=(name,), **KERAS)
        mode = guess_mode(None, known).value
        assert known.is_called(*MODE_OF_NAME), name
        color: Any = guess_color(None, mode, known).value
        assert preprocessing_of(mode, color) == find_architecture(name).preprocessing, name


@pytest.mark.parametrize("mode", ["caffe", "torch", "tf"])
def test_the_modes_compute_what_keras_does_in_any_order_of_colours(mode: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    expected = preprocess_input(images.astype(np.float32), mode=mode)
    usual: Color = "bgr" if mode == "caffe" else "rgb"
    other: Color = "rgb" if mode == "caffe" else "bgr"
    np.testing.assert_allclose(prepared(images, preprocessing_of(mode, usual)), expected, atol=1e-4)
    np.testing.assert_allclose(prepared(images, preprocessing_of(mode, other)), expected[..., ::-1], atol=1e-4)


@pytest.mark.parametrize("mode", ["none", "scale", "tf", "torch", "caffe"])
def test_statistics_of_a_batch_normalisation_tell_the_mode_they_were_learnt_in(mode: str) -> None:
    engine.utils.set_random_seed(5)
    model = engine.Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.Conv2D(16, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    assert fitting_mode(model, (32, 32), 3) is None, "it has learnt nothing"
    # Other images than the probes: darker, and with other colours.
    images = (probe_images(32, 32, 3)[:, ::-1] * np.array([0.9, 0.75, 0.7])).astype(np.uint8)
    color: Color = "bgr" if mode == "caffe" else "rgb"
    before = engine.Model(model.inputs, model.layers[1].input)
    seen = before.predict(prepared(images, preprocessing_of(mode, color)), verbose=0).reshape(-1, 16)
    model.layers[1].moving_mean.assign(seen.mean(axis=0))
    model.layers[1].moving_variance.assign(seen.var(axis=0))
    assert fitting_mode(model, (32, 32), 3) == mode


def test_evidence_is_gathered_from_the_report_and_the_model() -> None:
    from engine.inspection import ModelReport, Part

    kinds = ("InputLayer", "Rescaling", "Conv2D", "Normalization")
    notes = ('names: {"0": "cat", "1": "dog"}', "Image.BitmapPixelFormat: Bgr8", "slow", "labels: cat, dog")
    report = ModelReport("x", "ONNX", "PyTorch 2", 1, parts=tuple(Part(kind, kind) for kind in kinds), notes=notes)
    found = gather_evidence(Path("dogs.onnx"), report, None, size=(8, 8), channels=3, fitting=None)
    assert found.front == ("InputLayer", "Rescaling")
    assert found.labels == ("cat", "dog")
    assert found.metadata["Image.BitmapPixelFormat"] == "Bgr8"
    assert found.written_by == "pytorch 2"
    assert found.is_called("dogs")
    assert not found.is_called("ogs")
