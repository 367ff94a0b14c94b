"""Real Keras on JAX, which these tests compare with."""

from __future__ import annotations

import json
import os
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"
# Each shape is computed a few times at most: compiling quickly matters more than running quickly. Fusions go through
# XLA's older emitters, which take half the time that the MLIR pipeline of the newer ones does.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false",
)

import keras

__all__ = ["as_json", "keras"]


def as_json(config: Any) -> Any:
    """A config as it comes back from a file: tuples are lists."""
    return json.loads(json.dumps(config))
