"""Random preprocessing layers while training: their changes against Keras's, and their draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine import layers, random
from engine.variable import Variable
from tests.engine.keras_reference import as_json, keras

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 8, 7, 3)).astype(np.float32)
SINGLE = np.random.default_rng(1).uniform(0, 255, (8, 6, 3)).astype(np.float32)
FIRST = {"data_format": "channels_first"}

# Factors that leave nothing to chance.
CERTAIN: list[tuple[str, dict[str, Any]]] = [
    ("RandomRotation", {"factor": (0.1, 0.1)}),
    ("RandomRotation", {"factor": (-0.13, -0.13), "fill_mode": "constant", "fill_value": 9.0}),
    ("RandomRotation", {"factor": (0.1, 0.1), "interpolation": "nearest"}),
    ("RandomZoom", {"height_factor": (0.3, 0.3)}),
    ("RandomZoom", {"height_factor": (-0.3, -0.3), "width_factor": (0.2, 0.2), "fill_mode": "wrap"}),
    ("RandomTranslation", {"height_factor": (0.9, 0.9), "width_factor": (0.5, 0.5), "fill_mode": "constant"}),
    ("RandomBrightness", {"factor": (0.3, 0.3)}),
    ("RandomInvert", {"factor": (1.0, 1.0)}),
    ("RandomPosterization", {"factor": (3, 3)}),
    ("RandomSaturation", {"factor": (0.8, 0.8)}),
    ("RandomColorDegeneration", {"factor": (0.7, 0.7)}),
    ("RandomColorJitter", {"brightness_factor": (0.1, 0.1), "saturation_factor": (0.3, 0.3)}),
    ("RandomGrayscale", {"factor": 1.0}),
    ("RandomSharpness", {"factor": (0.9, 0.9)}),
    ("RandomGaussianBlur", {"factor": (1.0, 1.0), "kernel_size": (5, 3), "sigma": (0.7, 0.7)}),
    ("RandomCrop", {"height": 8, "width": 4}),
    ("RandomCrop", {"height": 16, "width": 9}),
    ("Solarization", {}),
]


@pytest.mark.parametrize(("layer", "options"), CERTAIN, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CERTAIN)])
def test_changes_without_chance_equal_keras(layer: str, options: dict[str, Any]) -> None:
    theirs = getattr(keras.layers, layer)(**options)
    ours = getattr(layers, layer)(**options)
    expected = np.asarray(theirs(IMAGES, training=True))
    received = ours(IMAGES, training=True).numpy()
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=2e-3)


def test_values_become_equally_frequent_as_in_keras() -> None:
    options = {"bins": 4, "value_range": (0, 510)}
    expected = np.asarray(keras.layers.Equalization(**options)(IMAGES[..., :1], training=True))
    received = layers.Equalization(**options)(IMAGES, training=True).numpy()
    np.testing.assert_allclose(received[..., :1], expected, rtol=1e-5)
    plain = np.full((1, 3, 3, 1), 77.0, np.float32)
    np.testing.assert_array_equal(layers.Equalization()(plain, training=True).numpy(), plain)


def test_one_image_and_channels_first_are_changed_as_a_batch_is() -> None:
    options = {"factor": (0.1, 0.1)}
    batch = layers.RandomRotation(**options)(SINGLE[None], training=True).numpy()
    np.testing.assert_array_equal(layers.RandomRotation(**options)(SINGLE, training=True).numpy(), batch[0])
    first = layers.RandomRotation(**options, **FIRST)(SINGLE.transpose(2, 0, 1), training=True).numpy()
    np.testing.assert_array_equal(first.transpose(1, 2, 0), batch[0])


@pytest.mark.parametrize("mode", ["horizontal", "vertical", "horizontal_and_vertical"])
def test_every_other_image_is_flipped(mode: str) -> None:
    axes = {"horizontal": (1,), "vertical": (0,)}.get(mode, (0, 1))
    images = np.tile(SINGLE, (400, 1, 1, 1))
    flipped = layers.RandomFlip(mode, seed=5)(images, training=True).numpy()
    turned = np.array([np.array_equal(image, np.flip(SINGLE, axes)) for image in flipped])
    assert all(turn or np.array_equal(image, SINGLE) for turn, image in zip(turned, flipped, strict=True))
    assert 160 < turned.sum() < 240  # 200 ± 4 standard deviations


def test_hues_are_turned_both_ways_as_far_as_the_factor_says() -> None:
    red = np.full((300, 1, 1, 3), (255.0, 0.0, 0.0), np.float32)
    turned = layers.RandomHue((0.4, 0.4), seed=1)(red, training=True).numpy()[:, 0, 0]
    # 0.2 of the circle from red: (204, 255, 0), or the other way (204, 0, 255).
    greenish = turned[:, 1] > 1
    np.testing.assert_allclose(turned[greenish], [[204, 255, 0]] * greenish.sum(), atol=1e-2)
    np.testing.assert_allclose(turned[~greenish], [[204, 0, 255]] * (~greenish).sum(), atol=1e-2)
    assert 110 < greenish.sum() < 190


def test_brightness_is_uniform_between_its_bounds() -> None:
    images = np.full((2000, 1, 1, 1), 100.0, np.float32)
    added = layers.RandomBrightness((-0.2, 0.1), seed=2)(images, training=True).numpy().ravel() - 100
    assert -51 <= added.min() < -50
    assert 25 < added.max() <= 25.5
    np.testing.assert_allclose(np.quantile(added, [0.25, 0.5, 0.75]), [-31.9, -12.75, 6.4], atol=4)


def test_shears_turn_their_sign_by_chance_and_keep_their_bounds() -> None:
    x = np.tile(np.arange(9, dtype=np.float32)[None, None, :, None], (200, 3, 1, 1))
    sheared = layers.RandomShear((0.5, 1.0), fill_mode="nearest", seed=1)(x, training=True).numpy()
    shift = sheared[:, 1, 4, 0] - 4  # row 1 is shifted by the factor
    assert ((np.abs(shift) >= 0.5) & (np.abs(shift) <= 1)).all()
    assert 70 < (shift > 0).sum() < 130


def test_crops_are_parts_of_the_images_from_everywhere() -> None:
    places = np.arange(24.0, dtype=np.float32).reshape(1, 6, 4, 1)
    layer = layers.RandomCrop(3, 2, seed=1)
    corners = set()
    for _ in range(120):
        crop = layer(places, training=True).numpy()[0, :, :, 0]
        np.testing.assert_array_equal(crop - crop[0, 0], [[0, 1], [4, 5], [8, 9]])
        corners.add(int(crop[0, 0]))
    assert corners == {4 * row + column for row in range(4) for column in range(3)}


def test_erased_rectangles_have_the_size_asked_for_and_a_probability() -> None:
    images = np.zeros((300, 20, 20, 3), np.float32)
    erased = layers.RandomErasing((0.5, 0.5), scale=(0.25, 0.25), fill_value=7.0, seed=3)(images, training=True).numpy()
    touched = erased.any(axis=(1, 2, 3))
    assert 110 < touched.sum() < 190
    assert (erased[touched] == 7).sum(axis=(1, 2, 3)).tolist() == [300] * touched.sum()  # 10 × 10 × 3


def test_solarization_inverts_from_the_threshold_on() -> None:
    images = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1)
    theirs, ours = keras.layers.Solarization(), layers.Solarization()
    drawn = {
        "additions": np.full((1, 1, 1, 1), 10.0, np.float32),
        "thresholds": np.full((1, 1, 1, 1), 99.0, np.float32),
    }
    expected = np.asarray(theirs.transform_images(images, drawn))
    received = ours.transform_images(images, [drawn["additions"], drawn["thresholds"]]).numpy()
    np.testing.assert_allclose(received, expected, atol=1e-4)


def test_contrast_multiplies_the_distance_from_the_mean_of_each_channel() -> None:
    factor = np.array([1.6, 0.4], np.float32).reshape(2, 1, 1, 1)
    theirs, ours = keras.layers.RandomContrast(0.5), layers.RandomContrast(0.5)
    expected = np.asarray(theirs.transform_images(IMAGES, {"contrast_factor": factor}))
    np.testing.assert_allclose(ours.transform_images(IMAGES, factor).numpy(), expected, rtol=1e-5, atol=1e-3)


def test_contrast_is_drawn_as_keras_draws_it() -> None:
    drawn = layers.RandomContrast(0.3, seed=1).get_random_transformation(np.zeros((2000, 1, 1, 1))).numpy()
    assert 1.0 <= drawn.min() < 1.01
    assert 1.29 < drawn.max() <= 1.3


def test_draws_depend_on_the_step_alone() -> None:
    layer, step = layers.RandomZoom(0.3, seed=4), Variable(np.int64(0), trainable=False)

    def at(number: int) -> Any:
        step.assign(np.int64(number))
        with random.step_scope(step):
            return layer(IMAGES, training=True).numpy()

    first, second = at(1), at(2)
    assert np.abs(first - second).max() > 1
    np.testing.assert_array_equal(at(1), first)


def test_named_inputs_are_changed_together() -> None:
    masks = (IMAGES[..., :1] > 100).astype(np.uint8)
    named = {"images": IMAGES, "labels": np.array([1, 2]), "segmentation_masks": masks}
    result = layers.RandomTranslation((0.25, 0.25), 0.0)(named, training=True)
    np.testing.assert_allclose(result["images"].numpy()[:, 2:], IMAGES[:, :-2], rtol=1e-6)
    np.testing.assert_array_equal(result["segmentation_masks"].numpy()[:, 2:], masks[:, :-2])
    assert result["labels"].numpy().tolist() == [1, 2]
    with pytest.raises(ValueError, match="Bounding boxes"):
        layers.RandomFlip()({"images": IMAGES, "bounding_boxes": np.zeros((2, 1, 4))}, training=True)


def test_augmentation_trains_inside_a_model_and_rests_in_predictions() -> None:
    from engine import Input, Sequential

    model = Sequential(
        [
            Input((8, 7, 3)),
            layers.RandomFlip(seed=1),
            layers.RandomRotation(0.1, seed=2),
            layers.RandomContrast(0.2, seed=3),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    model.compile("sgd", "mse")
    before = model.predict(IMAGES, verbose=0)
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), before)
    np.testing.assert_allclose(model.layers[-1](IMAGES.reshape(2, -1)).numpy(), before, rtol=1e-4, atol=1e-3)
    model.fit(IMAGES / 255, np.zeros((2, 2)), epochs=1, verbose=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RandomRotation(1.5), "`factor` must be"),
        (lambda: layers.RandomRotation("a"), "`factor` must be"),
        (lambda: layers.RandomZoom(-1.0, (-1.0, 0.5)), "above -1"),
        (lambda: layers.RandomFlip("diagonal"), "diagonal"),
        (lambda: layers.RandomTranslation(0.1, 0.1, fill_mode="tile"), "tile"),
        (lambda: layers.RandomBrightness(0.1, value_range=3), "`value_range` must be two numbers"),
        (lambda: layers.RandomGaussianBlur(kernel_size=4), "odd"),
        (lambda: layers.RandomErasing(fill_value=(1.0, 2.0)), "`fill_value`"),
        (lambda: layers.RandomFlip()(np.zeros((2, 3), np.float32)), "rank 3"),
        (lambda: layers.Resizing(0, 3), "positive integers"),
        (lambda: layers.CategoryEncoding(), "`num_tokens`"),
        (lambda: layers.CategoryEncoding(3, sparse=True), "sparse"),
        (lambda: layers.Discretization(), "either"),
    ],
)
def test_wrong_arguments_are_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("layer", ["MixUp", "CutMix"])
def test_labels_are_mixed_as_images_are(layer: str) -> None:
    numbers = np.arange(16, dtype=np.float32)
    named = {"images": np.tile(numbers[:, None, None, None], (1, 200, 200, 1)), "labels": np.eye(16, dtype=np.float32)}
    mixed = getattr(layers, layer)(1.0, seed=1)(named, training=True)
    received = mixed["images"].numpy().mean((1, 2, 3))
    np.testing.assert_allclose(received, mixed["labels"].numpy() @ numbers, atol=0.15)  # rectangles of whole entries
    np.testing.assert_allclose(mixed["labels"].numpy().sum(1), 1, rtol=1e-6)
    assert np.abs(received - numbers).max() > 1
    rested = getattr(layers, layer)()(named["images"], training=False)
    np.testing.assert_array_equal(rested.numpy(), named["images"])


@pytest.mark.parametrize(("layer", "options"), [("RandAugment", {}), ("AugMix", {"num_chains": 2, "chain_depth": 1})])
def test_policies_change_images_within_their_range_and_rest_at_inference(layer: str, options: dict[str, Any]) -> None:
    ours = getattr(layers, layer)(**options, seed=3, name="tested")
    theirs = getattr(keras.layers, layer)(**options, seed=3, name="tested")
    config, reference = as_json(ours.get_config()), as_json(theirs.get_config())
    assert {**config, "dtype": None} == {**reference, "dtype": None}
    changed = [ours(IMAGES, training=True).numpy() for _ in range(4)]
    assert all(images.shape == IMAGES.shape and images.min() > -1e-3 and images.max() < 255.001 for images in changed)
    assert np.abs(changed[0] - changed[1]).max() > 1
    np.testing.assert_array_equal(ours(IMAGES, training=False).numpy(), IMAGES)
    again = getattr(layers, layer).from_config(ours.get_config())
    np.testing.assert_array_equal(again(IMAGES, training=True).numpy(), changed[0])
