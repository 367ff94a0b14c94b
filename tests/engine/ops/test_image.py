"""Image ops against Keras, against their definitions, and their gradients."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest

from engine import ops
from engine.ops.image.interpolation import weights
from tests.engine.gradient_check import check_gradients
from tests.engine.keras_reference import keras

RNG = np.random.default_rng(0)
COLORS = RNG.uniform(0, 1, (2, 4, 5, 3)).astype(np.float32)
COLORS[0, 0] = [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0.5, 0.5, 1]]
TRANSFORM = np.array([[0.9, 0.3, -0.7, -0.2, 1.1, 0.4, 0, 0], [1, 0, 1.25, 0, 1, -2.5, 0, 0]], np.float32)


def test_grey_levels_equal_keras_in_both_data_formats() -> None:
    expected = np.asarray(keras.ops.image.rgb_to_grayscale(COLORS))
    np.testing.assert_allclose(ops.image.rgb_to_grayscale(COLORS).numpy(), expected, atol=1e-6)
    first = ops.image.rgb_to_grayscale(COLORS[1].transpose(2, 0, 1), "channels_first").numpy()
    np.testing.assert_allclose(first.transpose(1, 2, 0), expected[1], atol=1e-6)


@pytest.mark.parametrize("name", ["rgb_to_hsv", "hsv_to_rgb"])
def test_colors_equal_those_of_the_standard_library(name: str) -> None:
    expected = np.apply_along_axis(lambda color: getattr(colorsys, name)(*color), -1, COLORS.astype(np.float64))
    np.testing.assert_allclose(getattr(ops.image, name)(COLORS).numpy(), expected, atol=1e-6)
    first = getattr(ops.image, name)(COLORS[1].transpose(2, 0, 1), "channels_first").numpy()
    np.testing.assert_allclose(first.transpose(1, 2, 0), expected[1], atol=1e-6)


def test_hue_saturation_and_value_give_the_colors_back() -> None:
    np.testing.assert_allclose(ops.image.hsv_to_rgb(ops.image.rgb_to_hsv(COLORS)).numpy(), COLORS, atol=1e-6)


def test_a_blur_equals_keras() -> None:
    expected = np.asarray(keras.ops.image.gaussian_blur(COLORS, (5, 3), (0.6, 1.4), data_format="channels_last"))
    np.testing.assert_allclose(ops.image.gaussian_blur(COLORS, (5, 3), (0.6, 1.4)).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("interpolation", "fill_mode"),
    [
        *(("bilinear", mode) for mode in ("constant", "reflect", "mirror")),
        *(("nearest", mode) for mode in ("nearest", "wrap")),
    ],
)
def test_affine_transforms_equal_keras(interpolation: str, fill_mode: str) -> None:
    given = (COLORS, TRANSFORM, interpolation, fill_mode, 0.25)
    expected = np.asarray(keras.ops.image.affine_transform(*given))
    np.testing.assert_allclose(ops.image.affine_transform(*given).numpy(), expected, atol=1e-5)


def test_whole_numbers_are_rounded_and_stay_in_their_range() -> None:
    images = RNG.integers(0, 2, (1, 6, 6, 1)).astype(np.uint8) * 255
    resized = ops.image.resize(images, (13, 13), "bicubic").numpy()
    exact = ops.image.resize(images.astype(np.float32), (13, 13), "bicubic").numpy()
    assert exact.min() < 0
    assert exact.max() > 255
    np.testing.assert_array_equal(resized, np.rint(exact).clip(0, 255).astype(np.uint8))


def test_areas_are_means_over_the_cells_covered() -> None:
    np.testing.assert_allclose(weights(3, 2, "area", False), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    image = RNG.normal(size=(6, 4, 2)).astype(np.float32)
    expected = image.reshape(3, 2, 2, 2, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(ops.image.resize(image, (3, 2), "area").numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos3", "area"])
def test_weights_of_every_output_sum_to_one(method: str) -> None:
    for length, count in ((7, 3), (3, 11), (1, 4)):
        np.testing.assert_allclose(weights(length, count, method, True).sum(1), 1)


def test_gradients_pass_through_images_and_transforms() -> None:
    images = RNG.normal(size=(2, 3, 4, 1))
    transform = TRANSFORM.astype(np.float64) + 0.0137  # no place lies on an entry, where the slope breaks
    for mode in ("constant", "reflect"):
        check_gradients(lambda x, t, mode=mode: ops.image.affine_transform(x, t, fill_mode=mode), images, transform)
    check_gradients(lambda x: ops.image.resize(x, (2, 6), "bicubic", antialias=True), images)
    check_gradients(lambda x: ops.image.gaussian_blur(x, (3, 3)), images)
    colors = RNG.permutation(np.linspace(0.1, 0.9, 12)).reshape(1, 2, 2, 3)
    check_gradients(lambda x: ops.image.hsv_to_rgb(ops.image.rgb_to_hsv(x)), colors)


def test_places_among_sorted_values_equal_numpy() -> None:
    bins, values = (
        np.array([-1.0, 0.5, 0.5, 2.0], np.float32),
        np.array([[-2.0, 0.5, np.nan], [2.0, 1.0, 9.0]], np.float32),
    )
    np.testing.assert_array_equal(ops.digitize(values, bins).numpy(), np.digitize(values, bins))
    for side in ("left", "right"):
        np.testing.assert_array_equal(ops.searchsorted(bins, values, side).numpy(), np.searchsorted(bins, values, side))
    with pytest.raises(ValueError, match="one sorted axis"):
        ops.searchsorted(bins[None], values)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.image.rgb_to_hsv(COLORS.astype(np.uint8)), "float dtype. Received: uint8"),
        (lambda: ops.image.rgb_to_hsv(COLORS[..., :2]), "three channels. Received: 2"),
        (lambda: ops.image.affine_transform(COLORS, TRANSFORM[:, :6]), r"\(8,\) or \(2, 8\)"),
        (lambda: ops.image.affine_transform(COLORS, TRANSFORM, "bicubic"), "bicubic"),
        (lambda: ops.image.affine_transform(COLORS, TRANSFORM, fill_mode="tile"), "tile"),
        (lambda: ops.image.gaussian_blur(COLORS[0, 0]), r"shape \(5, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
