"""Resampling by its definition, its gradients, and `ops.image.resize` against Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine import ops
from engine.primitives.primitive import Spec
from engine.primitives.resampling import resampling, resampling_gradient
from tests.engine.gradient_check import check_gradients
from tests.engine.keras_reference import keras

SIZES = [((4, 5), (8, 10)), ((3, 4), (7, 3)), ((6, 6), (2, 4)), ((1, 3), (4, 1))]
methods = pytest.mark.parametrize("method", ["nearest", "linear"])


def draw(*shape: int) -> Any:
    return np.random.default_rng(shape).normal(size=shape)


@methods
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_gradients_are_exact_in_first_and_second_order(before: Any, after: Any, method: str) -> None:
    check_gradients(lambda x: resampling(x, spatial=after, method=method), draw(1, *before, 2), order=2)
    check_gradients(lambda dy: resampling_gradient(dy, spatial=before, method=method), draw(1, *after, 2))


def test_lines_stay_lines_between_the_outermost_entries() -> None:
    x = np.arange(5.0).reshape(1, 5, 1)
    y = resampling.evaluate([x], {"spatial": (10,), "method": "linear"})[0]
    np.testing.assert_allclose(y[0, :, 0], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4])


def test_the_same_size_gives_a_copy() -> None:
    x = draw(1, 3, 2)
    for method in ("nearest", "linear"):
        y = resampling.evaluate([x], {"spatial": (3,), "method": method})[0]
        assert not np.shares_memory(x, y)
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int32"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize(("before", "after"), SIZES[:3])
def test_resize_equals_keras(before: Any, after: Any, interpolation: str, dtype: str) -> None:
    images = (np.random.default_rng(0).uniform(0, 255, (2, *before, 3))).astype(dtype)
    expected = np.asarray(keras.ops.image.resize(images, after, interpolation))
    received = ops.image.resize(images, after, interpolation).numpy()
    assert received.dtype == expected.dtype
    tolerance = 1e-5 if dtype == "float32" else 2e-3 if dtype == "float16" else 0
    np.testing.assert_allclose(received, expected, rtol=tolerance)


def test_resize_takes_one_image_and_channels_first() -> None:
    image = draw(4, 5, 3).astype(np.float32)
    alone = ops.image.resize(image, (6, 7)).numpy()
    batch = ops.image.resize(image[None], (6, 7)).numpy()
    np.testing.assert_array_equal(alone, batch[0])
    first = ops.image.resize(np.moveaxis(image, -1, 0), (6, 7), data_format="channels_first").numpy()
    np.testing.assert_array_equal(np.moveaxis(first, 0, -1), alone)


def test_what_is_not_supported_is_refused_by_name() -> None:
    image = np.zeros((4, 4, 3), np.float32)
    with pytest.raises(ValueError, match="gaussian"):
        ops.image.resize(image, (2, 2), interpolation="gaussian")
    with pytest.raises(ValueError, match="both"):
        ops.image.resize(image, (2, 2), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True)
    with pytest.raises(ValueError, match="reflect"):
        ops.image.resize(image, (2, 2), pad_to_aspect_ratio=True, fill_mode="reflect")
    with pytest.raises(ValueError, match=r"shape \(4, 4\)"):
        ops.image.resize(image[..., 0], (2, 2))
    spec = Spec((1, 4, 4, 3), np.dtype("float32"))
    with pytest.raises(ValueError, match="cubic"):
        resampling.infer([spec], {"spatial": (2, 2), "method": "cubic"})
    with pytest.raises(ValueError, match=r"lengths \(2,\)"):
        resampling.infer([spec], {"spatial": (2,), "method": "linear"})
