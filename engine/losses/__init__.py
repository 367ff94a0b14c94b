"""Losses (`keras.losses`): classes with weights and reductions, and the functions beneath them."""

from __future__ import annotations

from typing import Any

from engine.identifiers import resolve
from engine.losses.classification import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalHinge,
    Hinge,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from engine.losses.labels import (
    CategoricalGeneralizedCrossEntropy,
    Circle,
    categorical_generalized_cross_entropy,
    circle,
)
from engine.losses.loss import Loss, LossFunctionWrapper
from engine.losses.overlap import (
    Dice,
    Tversky,
    dice,
    tversky,
)
from engine.losses.regression import (
    CosineSimilarity,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    cosine_similarity,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)
from engine.registry import deserialize as _deserialize
from engine.registry import serialize as _serialize


def serialize(loss: Any) -> Any:
    """The config of a loss, or the name of a loss function."""
    return _serialize(loss)


def deserialize(name: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The loss of a config or a name ("mse", "MeanSquaredError")."""
    from engine.registry import retrieve

    if isinstance(name, str):
        return retrieve(name, "keras.losses", custom_objects=custom_objects)
    if isinstance(name, dict) and "module" not in name:
        name = {"module": "keras.losses", "registered_name": None, **name}
    return _deserialize(name, custom_objects)


def get(identifier: Any) -> Any:
    """The loss of a name, a config, a class, a function or None.

    Raises:
        ValueError: it stands for no loss.
    """
    return resolve(identifier, "keras.losses", "loss")


__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]
