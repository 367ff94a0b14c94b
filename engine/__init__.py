"""Beagle's network engine: Keras 3's interface on NumPy and oneDNN.

`import engine as keras` runs a listing written for Keras. Everything public is loaded when it is first touched.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine import activations as activations
    from engine import applications as applications
    from engine import callbacks as callbacks
    from engine import config as config
    from engine import constraints as constraints
    from engine import datasets as datasets
    from engine import inference as inference
    from engine import initializers as initializers
    from engine import layers as layers
    from engine import losses as losses
    from engine import metrics as metrics
    from engine import models as models
    from engine import ops as ops
    from engine import optimizers as optimizers
    from engine import random as random
    from engine import regularizers as regularizers
    from engine import saving as saving
    from engine import tree as tree
    from engine import utils as utils
    from engine.dtype_policies import DTypePolicy as DTypePolicy
    from engine.gradients import GradientTape as GradientTape
    from engine.gradients import grad as grad
    from engine.gradients import value_and_grad as value_and_grad
    from engine.inference import InferenceSession as InferenceSession
    from engine.initializers import Initializer as Initializer
    from engine.layers import Input as Input
    from engine.layers import InputSpec as InputSpec
    from engine.layers import Layer as Layer
    from engine.losses import Loss as Loss
    from engine.metrics import Metric as Metric
    from engine.models import Functional as Functional
    from engine.models import Model as Model
    from engine.models import Sequential as Sequential
    from engine.ops.operation import KerasTensor as KerasTensor
    from engine.ops.operation import Operation as Operation
    from engine.optimizers import Optimizer as Optimizer
    from engine.regularizers import Regularizer as Regularizer
    from engine.tensor import Tensor as Tensor
    from engine.variable import Variable as Variable

__version__ = "0.1.0"

_MODULES = (
    "activations",
    "applications",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "inference",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "random",
    "regularizers",
    "saving",
    "tree",
    "utils",
)
_NAMES = {
    "DTypePolicy": "engine.dtype_policies",
    "Functional": "engine.models",
    "GradientTape": "engine.gradients",
    "InferenceSession": "engine.inference",
    "Initializer": "engine.initializers",
    "Input": "engine.layers",
    "InputSpec": "engine.layers",
    "KerasTensor": "engine.ops.operation",
    "Layer": "engine.layers",
    "Loss": "engine.losses",
    "Metric": "engine.metrics",
    "Model": "engine.models",
    "Operation": "engine.ops.operation",
    "Optimizer": "engine.optimizers",
    "Regularizer": "engine.regularizers",
    "Sequential": "engine.models",
    "Tensor": "engine.tensor",
    "Variable": "engine.variable",
    "grad": "engine.gradients",
    "value_and_grad": "engine.gradients",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"engine.{name}")
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'engine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_NAMES})
