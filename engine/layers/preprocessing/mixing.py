"""Images mixed with others of their batch, and their labels with them: MixUp, CutMix."""

from __future__ import annotations

from typing import Any

from engine import ops, random
from engine.layers.preprocessing.filters import covered_span
from engine.layers.preprocessing.image_layer import RandomImageLayer, factor_range
from engine.registry import registered


class _Mixing(RandomImageLayer):
    """A layer whose transformation ends with the partners' order (batch,) and the own shares (batch, 1, 1, 1)."""

    def _order(self, images: Any, seed: Any) -> Any:
        return random.shuffle(ops.arange(images.shape[0]), seed=self.generator if seed is None else seed)

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """Labels (batch, classes), mixed as the images are."""
        if not training:
            return labels
        *_, order, share = transformation
        share = ops.reshape(share, (-1, 1))
        return share * labels + (1.0 - share) * ops.take(labels, order, axis=0)


@registered("keras.layers")
class MixUp(_Mixing):
    """While training, a weighted mean of each image and another of its batch (Zhang et al. 2017).

    Args:
        alpha: the weights are drawn from the beta distribution (alpha, alpha).
        data_format: "channels_last" or "channels_first"; default: the global one.
        seed: an integer, or None: drawn from the global seed.
    """

    def __init__(
        self, alpha: float = 0.2, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        if not isinstance(alpha, (int, float)) or not alpha > 0:
            raise ValueError(f"Layer {self.name!r}: `alpha` must be a positive number. Received: {alpha!r}")
        self.alpha = alpha

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        order = self._order(images, seed)
        generator = self.generator if seed is None else seed
        return order, random.beta((images.shape[0], 1, 1, 1), self.alpha, self.alpha, "float32", generator)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        order, share = transformation
        share = ops.cast(share, images.dtype)
        return share * images + (1.0 - share) * ops.take(images, order, axis=0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


@registered("keras.layers")
class CutMix(_Mixing):
    """While training, a rectangle of each image comes from another of its batch (Yun et al. 2019).

    Args:
        factor: two numbers from 0 to 1, or one, f, for 0 and f: of a number a between them, drawn once for a batch, the
            shares that stay are drawn from the beta distribution (a, a).
        seed: an integer, or None: drawn from the global seed.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    def __init__(
        self, factor: Any = 1.0, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = factor_range(self, "factor", factor, (0.0, 1.0), overlap=True)

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        generator = self.generator if seed is None else seed
        alpha = random.uniform((), *self.factor, dtype="float32", seed=generator) + 1e-6
        share = random.beta((images.shape[0], 1, 1, 1), alpha, alpha, "float32", generator)
        side = ops.sqrt(1.0 - share)
        spans = [covered_span(images, axis, side, self._uniform(images, seed=seed)) for axis in (2, 1)]
        return ops.logical_and(*spans), self._order(images, seed), share

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        covered, order, _ = transformation
        return ops.where(covered, ops.take(images, order, axis=0), images)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}
