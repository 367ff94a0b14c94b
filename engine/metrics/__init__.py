"""Metrics (`keras.metrics`): what training and evaluation report."""

from __future__ import annotations

from typing import Any

from engine.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from engine.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from engine.metrics.errors import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from engine.metrics.metric import Metric
from engine.metrics.reduction import Mean, MeanMetricWrapper, Sum
from engine.registry import deserialize as _deserialize
from engine.registry import find as _find
from engine.registry import get_registered_object as _get_registered_object
from engine.registry import serialize as _serialize


def serialize(metric: Any) -> Any:
    """The config of a metric, or the name of a metric function."""
    return _serialize(metric)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The metric of a config or a name: a metric's class, its snake-case name, or a loss function's name.

    Raises:
        TypeError: nothing of that name is registered.
    """
    from engine.naming import to_snake_case
    from engine.registry import retrieve

    if not isinstance(config, str):
        if isinstance(config, dict) and "module" not in config:
            config = {"module": "keras.metrics", "registered_name": None, **config}
        return _deserialize(config, custom_objects)
    found = _get_registered_object(config, custom_objects) or _find(config, "keras.metrics")
    if found is None:
        classes = {to_snake_case(name): item for name, item in globals().items() if isinstance(item, type)}
        found = classes.get(config)
    return found or retrieve(config, "keras.losses", custom_objects=custom_objects)


def get(identifier: Any) -> Any:
    """The metric of a name, a config, a class, a function or None.

    Raises:
        ValueError: it stands for no metric.
    """
    if identifier is None:
        return None
    if isinstance(identifier, (str, dict)):
        try:
            found = deserialize(identifier)
        except TypeError as error:
            raise ValueError(f"Could not interpret the metric {identifier!r}: {error}") from error
    else:
        found = identifier
    if isinstance(found, type):
        found = found()
    if not callable(found):
        raise ValueError(f"Could not interpret the metric {identifier!r}: expected a name, a config or a callable.")
    return found


__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "Poisson",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "deserialize",
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
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]
