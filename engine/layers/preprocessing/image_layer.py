"""What layers on images share: batches with the channels last, draws, named inputs, ranges of factors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar

from engine import ops, random
from engine.layers.layer import Layer
from engine.ops.windows import standard_data_format
from engine.random import SeedGenerator


class ImageLayer(Layer, ABC):
    """A layer that changes images: (batch, rows, columns, channels), or one image without the batch.

    Subclasses define `transform_images` for batches in the compute dtype with the channels last, and, where they draw,
    `get_random_transformation`.

    Args:
        bounding_box_format: kept for files' sake: boxes are not supported.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    # Whether images pass through untouched, in their dtype, when the layer is not training.
    rests_at_inference: ClassVar[bool] = False
    # Whether images are cast to the compute dtype first.
    casts: ClassVar[bool] = True

    def __init__(self, bounding_box_format: str | None = None, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bounding_box_format = bounding_box_format
        self.data_format = standard_data_format(data_format)

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        """What `transform_images` needs to know for a batch of images, drawn anew; None where there is nothing.

        Args:
            images: (batch, rows, columns, channels).
            training: layers draw only while training.
            seed: a seed generator; default: the layer's.
        """
        return None

    @abstractmethod
    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        """The batch of images, changed as `transformation` says."""

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """The labels of changed images: by default the same."""
        return labels

    def transform_segmentation_masks(self, masks: Any, transformation: Any, training: bool = True) -> Any:
        """The masks (batch, rows, columns, channels) of changed images: by default the same."""
        return masks

    def call(self, data: Any, training: bool | None = True) -> Any:
        """Changes images, or a dictionary with "images", and perhaps "labels" and "segmentation_masks".

        Raises:
            ValueError: images of another rank, or bounding boxes.
        """
        if isinstance(data, Mapping):
            return self._changed_by_name(data, bool(training))
        if self.rests_at_inference and not training:
            self._check_rank(data)
            return data
        images = self._batch(data)
        transformation = self.get_random_transformation(images, training=bool(training))
        return self._restored(self.transform_images(images, transformation, bool(training)), data)

    def _changed_by_name(self, data: Mapping[str, Any], training: bool) -> dict[str, Any]:
        if "bounding_boxes" in data:
            raise ValueError("Bounding boxes are not supported; images, labels and segmentation masks are.")
        given = data["images"]
        images = self._batch(given)
        drawn = self.get_random_transformation(images, training=training)
        result = {**data, "images": self._restored(self.transform_images(images, drawn, training), given)}
        if "labels" in data:
            labels = ops.convert_to_tensor(data["labels"])
            single = given.ndim == 3
            changed = self.transform_labels(ops.expand_dims(labels, 0) if single else labels, drawn, training)
            result["labels"] = ops.squeeze(changed, 0) if single else changed
        if "segmentation_masks" in data:
            masks = data["segmentation_masks"]
            changed = self.transform_segmentation_masks(self._batch(masks), drawn, training)
            result["segmentation_masks"] = self._restored(changed, masks)
        return result

    @staticmethod
    def _check_rank(images: Any) -> None:
        if len(images.shape) not in (3, 4):
            raise ValueError(f"expected one image (rank 3) or a batch (rank 4). Received: shape {tuple(images.shape)}")

    def _batch(self, images: Any) -> Any:
        self._check_rank(images)
        batch = ops.cast(images, self.compute_dtype) if self.casts else ops.convert_to_tensor(images)
        batch = batch if len(images.shape) == 4 else ops.expand_dims(batch, 0)
        return ops.transpose(batch, (0, 2, 3, 1)) if self.data_format == "channels_first" else batch

    def _restored(self, batch: Any, given: Any) -> Any:
        """A batch in the rank and data format of the images given."""
        images = ops.transpose(batch, (0, 3, 1, 2)) if self.data_format == "channels_first" else batch
        return images if len(given.shape) == 4 else ops.squeeze(images, 0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "data_format": self.data_format}
        if self.bounding_box_format is not None:
            config["bounding_box_format"] = self.bounding_box_format
        return config


class SizedImageLayer(ImageLayer):
    """A layer whose images have a size of its own.

    Args:
        height, width: of the resulting images, from 1 on.
    """

    def __init__(self, height: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if any(not isinstance(length, int) or length < 1 for length in (height, width)):
            raise ValueError(
                f"Layer {self.name!r}: `height` and `width` must be positive integers. Received: {height} and {width}"
            )
        self.height, self.width = height, width

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = list(input_shape)
        self._check_rank_of(shape)
        rows = len(shape) - (2 if self.data_format == "channels_first" else 3)
        shape[rows : rows + 2] = [self.height, self.width]
        return tuple(shape)

    def _check_rank_of(self, shape: list[Any]) -> None:
        if len(shape) not in (3, 4):
            raise ValueError(f"Layer {self.name!r} expects images of rank 3 or 4. Received: shape {tuple(shape)}")


class RandomImageLayer(ImageLayer):
    """A layer that draws, for each image anew, while training; it has a seed generator of its own.

    Args:
        seed: an integer, or None: drawn from the global seed.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = SeedGenerator(seed)

    def _uniform(self, images: Any, bounds: tuple[float, float] = (0.0, 1.0), seed: Any = None, rank: int = 4) -> Any:
        """One float32 number for each image, uniform between bounds, with `rank` axes: (batch, 1, …)."""
        shape = (images.shape[0], *(1,) * (rank - 1))
        return random.uniform(shape, *bounds, dtype="float32", seed=self.generator if seed is None else seed)

    def _chosen(self, images: Any, probabilities: tuple[float, float], seed: Any = None) -> Any:
        """(batch, 1, 1, 1), bool: true with a probability that is itself drawn between bounds for each image."""
        return ops.less(self._uniform(images, seed=seed), self._uniform(images, probabilities, seed))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


# Factors -------------------------------------------------------------------------------------------------------------


def factor_range(
    layer: Layer,
    name: str,
    factor: Any,
    limits: tuple[float, float],
    least: float | None = None,
    overlap: bool = False,
) -> tuple[float, float]:
    """The bounds between which a factor is drawn, of a number or two.

    Args:
        layer, name: whose argument it is, for the message.
        factor: two numbers, or a number f, which stands for the bounds -f and f, the lower one at least `least`.
        limits: the smallest and the largest number allowed.
        least: default: the smaller limit.
        overlap: of two numbers it is enough that their range meets the limits.

    Raises:
        ValueError: something else, or numbers beyond the limits.
    """
    low, high = limits
    if isinstance(factor, (list, tuple)) and len(factor) == 2 and all(_is_number(item) for item in factor):
        first, last = sorted(factor)
        if (first <= high and last >= low) if overlap else (low <= first and last <= high):
            return first, last
    elif _is_number(factor) and low <= factor <= high:
        return max(-abs(factor), low if least is None else least), abs(factor)
    raise ValueError(
        f"Layer {layer.name!r}: `{name}` must be a number, or two, from {low} to {high}. Received: {factor!r}"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and abs(float(value)) < float("inf")


def value_range_of(layer: Layer, value_range: Any) -> list[float]:
    """The smallest and the largest value that images hold, in this order; raises ValueError for what is no pair."""
    if not isinstance(value_range, (list, tuple)) or len(value_range) != 2 or not all(map(_is_number, value_range)):
        raise ValueError(f"Layer {layer.name!r}: `value_range` must be two numbers. Received: {value_range!r}")
    return sorted(value_range)


def rescaled(images: Any, before: Any, after: Any) -> Any:
    """Images whose values lie in the range `before`, brought to the range `after`."""
    if tuple(before) == tuple(after):
        return images
    return (images - before[0]) * ((after[1] - after[0]) / (before[1] - before[0])) + after[0]
