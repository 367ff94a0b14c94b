"""Random weights with the statistics of trained ones, so that deep networks neither vanish nor blow up."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import layers


def randomize(model: Any, seed: int = 0, size: int = 96) -> None:
    """Gives a model random weights, and moving statistics that are those of its activations on random images.

    Args:
        model: one of the applications, or of their kind.
        size: rows and columns of the images, where the model's input leaves them free.
    """
    rng = np.random.default_rng(seed)
    normalizations = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    for layer in model.layers:
        for variable in layer.trainable_weights:
            variable.assign(_values(variable.name, variable.shape, rng))
    if not normalizations:
        return
    shape = tuple(size if length is None else length for length in model.inputs[0].shape[1:])
    momenta = [layer.momentum for layer in normalizations]
    try:
        for layer in normalizations:
            layer.momentum = 0.0  # the moving statistics become those of this one batch
        model(rng.normal(size=(2, *shape)).astype(np.float32), training=True)
    finally:
        for layer, momentum in zip(normalizations, momenta, strict=True):
            layer.momentum = momentum


def _values(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    if name == "gamma":
        return rng.uniform(0.7, 1.3, shape).astype(np.float32)
    if len(shape) == 1:
        return rng.normal(0.0, 0.1, shape).astype(np.float32)
    inputs = np.prod(shape[:-1]) if "depthwise" not in name else np.prod(shape[:2])
    return (rng.standard_normal(shape, np.float32) * np.sqrt(2.0 / inputs)).astype(np.float32)
