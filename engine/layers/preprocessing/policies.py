"""Augmentation by chance out of many changes: RandAugment, AugMix."""

from __future__ import annotations

from typing import Any

from engine import ops, random
from engine.layers.preprocessing.color import RandomColorDegeneration
from engine.layers.preprocessing.filters import RandomSharpness
from engine.layers.preprocessing.geometry import RandomRotation, RandomShear, RandomTranslation
from engine.layers.preprocessing.histograms import AutoContrast, Equalization
from engine.layers.preprocessing.image_layer import ImageLayer, RandomImageLayer, factor_range, value_range_of
from engine.layers.preprocessing.lighting import (
    BYTES,
    RandomBrightness,
    RandomContrast,
    RandomPosterization,
    Solarization,
)
from engine.registry import registered


class _Policy(RandomImageLayer):
    """A layer that picks among changes; all of them are computed, and the picked one's result is taken.

    Args:
        value_range: the smallest and the largest value that images hold.
        factor: two numbers from 0 to 1, or one, f, for 0 and f: of every change.
        interpolation: "bilinear" or "nearest", of changes of geometry.
        lighting: whether brightness, colour, contrast and sharpness are among the changes.
    """

    def __init__(self, value_range: Any, factor: Any, interpolation: str, lighting: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        value_range_of(self, value_range)
        self.value_range, self.interpolation = value_range, interpolation
        self.factor = factor_range(self, "factor", factor, (0.0, 1.0), overlap=True)
        same: dict[str, Any] = {"data_format": "channels_last", "dtype": self.dtype_policy}
        drawing = {"seed": self.seed, **same}
        valued = {"value_range": value_range, **drawing}
        moving = {"interpolation": interpolation, **drawing}
        bits = max(1, int(8 * self.factor[1]))
        self._changes: list[ImageLayer] = [
            RandomShear(self.factor, self.factor, **moving),
            RandomTranslation(self.factor, self.factor, **moving),
            RandomRotation(self.factor, **moving),
            RandomPosterization(bits, **valued),
            Solarization(self.factor, self.factor, **valued),
            AutoContrast(value_range, **same),
            Equalization(value_range, **same),
        ]
        if lighting:
            kinds = (RandomBrightness, RandomColorDegeneration, RandomContrast, RandomSharpness)
            self._changes.extend(kind(self.factor, **valued) for kind in kinds)

    def _draws(self, images: Any, generator: Any) -> list[Any]:
        return [change.get_random_transformation(images, True, generator) for change in self._changes]

    def _changed(self, images: Any, choice: Any, draws: list[Any]) -> Any:
        """The images after the change whose number `choice` holds; none where there is no such number."""
        result = images
        for number, (change, drawn) in enumerate(zip(self._changes, draws, strict=True)):
            result = ops.where(ops.equal(choice, number), change.transform_images(images, drawn, True), result)
        return result

    def get_config(self) -> dict[str, Any]:
        names = ("value_range", "factor", "interpolation")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@registered("keras.layers")
class RandAugment(_Policy):
    """While training, changes a batch a few times, each time in a way picked by chance (Cubuk et al. 2019).

    Args:
        value_range: the smallest and the largest value that images hold.
        num_ops: how many times.
        factor: two numbers from 0 to 1, or one, f, for 0 and f: of every change.
        interpolation: "bilinear" or "nearest", of changes of geometry.
        seed: an integer, or None: drawn from the global seed.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    def __init__(
        self,
        value_range: Any = BYTES,
        num_ops: int = 2,
        factor: Any = 0.5,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, factor, interpolation, True, seed=seed, data_format=data_format, **kwargs)
        self.num_ops = num_ops

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        generator = self.generator if seed is None else seed
        choices = random.randint((self.num_ops,), 0, len(self._changes), seed=generator)
        return choices, self._draws(images, generator)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        choices, draws = transformation
        for step in range(self.num_ops):
            images = self._changed(images, choices[step], draws)
        return images

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_ops": self.num_ops}


@registered("keras.layers")
class AugMix(_Policy):
    """While training, mixes a batch with results of several chains of changes picked by chance (Hendrycks et al. 2019).

    Args:
        value_range, factor, interpolation, seed, data_format: as for `RandAugment`.
        num_chains: how many chains; their weights are drawn from a Dirichlet distribution.
        chain_depth: the most changes of a chain.
        alpha: of the Dirichlet distribution, and of the beta distribution of the share of the images themselves.
        all_ops: whether brightness, colour, contrast and sharpness are among the changes.
    """

    def __init__(
        self,
        value_range: Any = BYTES,
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Any = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range, factor, interpolation, all_ops, seed=seed, data_format=data_format, **kwargs)
        self.num_chains, self.chain_depth, self.alpha, self.all_ops = num_chains, chain_depth, alpha, all_ops

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        generator = self.generator if seed is None else seed
        shares = random.gamma((self.num_chains,), self.alpha, "float32", generator)
        own = random.beta((), self.alpha, self.alpha, "float32", generator)
        # The number after the last change stands for none.
        picks = (self.num_chains, self.chain_depth)
        choices = random.randint(picks, 0, len(self._changes) + 1, seed=generator)
        draws = [[self._draws(images, generator) for _ in range(self.chain_depth)] for _ in range(self.num_chains)]
        return shares / ops.sum(shares), own, choices, draws

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        shares, own, choices, draws = transformation
        mixed = ops.zeros_like(images)
        for chain in range(self.num_chains):
            changed = images
            for depth in range(self.chain_depth):
                changed = self._changed(changed, choices[chain, depth], draws[chain][depth])
            mixed = mixed + changed * ops.cast(shares[chain], images.dtype)
        own = ops.cast(own, images.dtype)
        low, high = map(float, self.value_range)
        return ops.clip(own * images + (1.0 - own) * mixed, low, high)

    def get_config(self) -> dict[str, Any]:
        names = ("num_chains", "chain_depth", "alpha", "all_ops")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
