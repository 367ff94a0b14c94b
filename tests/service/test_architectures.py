"""Well-known networks by name, and the numbers of their preprocessing."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from engine import applications
from service.architectures import (
    Preprocessing,
    UnknownArchitectureError,
    architecture_names,
    find_architecture,
    read_preprocessing,
)


@pytest.mark.parametrize("name", architecture_names())
def test_the_numbers_of_every_network_compute_what_its_function_does(name: str) -> None:
    architecture = find_architecture(name)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 3)).astype(np.float32)
    module = importlib.import_module(architecture.build.__module__)
    expected = np.asarray(module.preprocess_input(pixels.copy()))
    numbers = architecture.preprocessing
    ordered = pixels[..., ::-1] if numbers.color == "bgr" else pixels
    received = (ordered - np.array(numbers.mean or 0.0)) / np.array(numbers.std or 1.0)
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-4)


def test_the_usual_numbers_are_the_known_ones() -> None:
    assert find_architecture("resnet50").preprocessing == Preprocessing("bgr", (103.939, 116.779, 123.68), ())
    assert find_architecture("mobilenet").preprocessing == Preprocessing("rgb", (127.5,), (127.5,))
    assert find_architecture("densenet121").preprocessing == Preprocessing(
        "rgb", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    )


@pytest.mark.parametrize("name", ["MobileNetV2", "mobilenet_v2", "mobilenet-v2", "mobilenetv2"])
def test_case_and_dashes_make_no_difference(name: str) -> None:
    architecture = find_architecture(name)
    assert architecture.name == "mobilenetv2"
    assert architecture.build is applications.MobileNetV2


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(UnknownArchitectureError, match=r"resnet50.*vgg16.*got 'alexnet'"):
        find_architecture("alexnet")


@pytest.mark.parametrize(
    "function", [lambda x: x[..., [1, 0, 2]], lambda x: x.mean(axis=-1, keepdims=True) + 0 * x, lambda x: -x]
)
def test_a_function_that_does_something_else_is_refused(function: Any) -> None:
    with pytest.raises(ValueError, match="no scale and shift"):
        read_preprocessing(function)
