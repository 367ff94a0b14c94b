"""How a model of an old file was compiled, in the form of Keras 3's `compile_config`."""

from __future__ import annotations

from typing import Any

from engine.saving.legacy.config import modernised

_RENAMED = {"lr": "learning_rate"}
_SHARED = (
    "name",
    "learning_rate",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "weight_decay",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)
# What an optimizer of Keras 2 was told beside that and is told still; the rest had no effect or has none now.
_KEPT: dict[str, tuple[str, ...]] = {
    "adadelta": ("rho", "epsilon"),
    "adafactor": ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step"),
    "adagrad": ("initial_accumulator_value", "epsilon"),
    "adam": ("beta_1", "beta_2", "epsilon", "amsgrad"),
    "adamax": ("beta_1", "beta_2", "epsilon"),
    "adamw": ("beta_1", "beta_2", "epsilon", "amsgrad"),
    "ftrl": (
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    ),
    "lion": ("beta_1", "beta_2"),
    "nadam": ("beta_1", "beta_2", "epsilon"),
    "rmsprop": ("rho", "momentum", "epsilon", "centered"),
    "sgd": ("momentum", "nesterov"),
}
_WRAPPERS = ("MeanMetricWrapper", "LossFunctionWrapper", "SumOverBatchSizeMetricWrapper")
_LOSS_SCALING = ("LossScaleOptimizer", "LossScaleOptimizerV1", "LossScaleOptimizerV3")
# Functions that Keras 2 knew by other names.
_FUNCTIONS = {
    "cosine": "cosine_similarity",
    "cosine_proximity": "cosine_similarity",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
    "LogCosh": "log_cosh",
    "KLD": "kl_divergence",
}


def compile_config(training: dict[str, Any], version: tuple[int, int]) -> dict[str, Any]:
    """The arguments of `compile`, as configs.

    Args:
        training: the file's `training_config`.
        version: of the Keras that wrote it.

    Raises:
        ValueError: it is no such config.
    """
    optimizer = training.get("optimizer_config")
    if isinstance(optimizer, str):
        optimizer = {"class_name": optimizer, "config": {}}
    if not isinstance(optimizer, dict) or not isinstance(optimizer.get("class_name"), str):
        raise ValueError(f"Expected an `optimizer_config` with a class_name. Received: {optimizer!r}")
    former = version < (3, 0)
    config: dict[str, Any] = {
        "optimizer": modernised(_optimizer(optimizer) if former else optimizer, version, "optimizer")
    }
    for argument, module in (("loss", "loss"), ("metrics", "metrics"), ("weighted_metrics", "metrics")):
        value = training.get(argument)
        config[argument] = modernised(_unwrapped(value) if former else value, version, module)
    config["loss_weights"] = modernised(training.get("loss_weights"), version)
    return config


def _optimizer(optimizer: dict[str, Any]) -> dict[str, Any]:
    """An optimizer of Keras 2 with the arguments of today; `decay` becomes the schedule that it was."""
    name = optimizer["class_name"].rsplit(">", 1)[-1]
    given = optimizer.get("config")
    if name in _LOSS_SCALING and isinstance(given, dict):
        return _loss_scaling(given)
    if isinstance(given, dict) and given.get("use_ema") is False:
        given = {key: value for key, value in given.items() if not key.startswith("ema_")}
    if name.lower() not in _KEPT or not isinstance(given, dict):
        return optimizer
    given = {_RENAMED.get(key, key): value for key, value in given.items()}
    kept = {*_SHARED, *_KEPT[name.lower()]}
    config = {key: value for key, value in given.items() if key in kept and value is not None}
    decay = given.get("decay")
    if isinstance(decay, (int, float)) and decay > 0 and isinstance(config.get("learning_rate"), (int, float)):
        schedule = {"initial_learning_rate": config["learning_rate"], "decay_steps": 1, "decay_rate": decay}
        config["learning_rate"] = {"class_name": "InverseTimeDecay", "config": schedule}
    return {**optimizer, "class_name": name, "config": config}


def _loss_scaling(given: dict[str, Any]) -> dict[str, Any]:
    """An optimizer that scales the loss, around the one that it wraps."""
    inner = given.get("inner_optimizer") or given.get("optimizer")
    if not isinstance(inner, dict) or not isinstance(inner.get("class_name"), str):
        raise ValueError(f"Expected the config of the optimizer inside of one that scales losses. Received: {inner!r}")
    inner = _optimizer({"module": "keras.optimizers", **inner})
    inner["module"] = "keras.optimizers"
    scale = given.get("initial_scale") or 2.0**15
    if given.get("dynamic") is False:
        return {**inner, "config": {**inner["config"], "loss_scale_factor": scale}}
    config = {"inner_optimizer": inner, "initial_scale": scale}
    config["dynamic_growth_steps"] = given.get("dynamic_growth_steps") or 2000
    return {"class_name": "LossScaleOptimizer", "config": config}


def _unwrapped(value: Any) -> Any:
    """Losses and metrics of Keras 2, in their nest: wrapped functions as the classes that they belong to."""
    if isinstance(value, list):
        return [_unwrapped(item) for item in value]
    if isinstance(value, str):
        return _FUNCTIONS.get(value, value)
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {key: _unwrapped(item) for key, item in value.items()}
    config = value.get("config")
    if not isinstance(config, dict):
        return value
    config = dict(config)
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    name = value["class_name"]
    function = config.pop("fn", None)
    if name in _WRAPPERS and isinstance(function, str):
        name = "".join(word.capitalize() for word in function.split("_"))
    return {**value, "class_name": name, "config": config}
