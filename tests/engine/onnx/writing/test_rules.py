"""Every primitive can be written, or does not occur in a prediction."""

from __future__ import annotations

import importlib
import pkgutil

import engine.primitives
from engine.onnx.writing.rules import RULES
from engine.primitives.primitive import Primitive

# Primitives without a rule, by the reason for which predictions have none of them.
ONLY_IN_GRADIENTS = {"scatter_add", "add_along_axis", "put", "max_pooling_gather"}
ONLY_IN_PLANS = {"fused", "reduced", "quantize", "dequantize"}
"""Made by passes that bind graphs to kernels, which the writer does not run."""
DRAWS = {
    "dropout", "permutation", "random_beta", "random_binomial", "random_gamma", "random_integers", "random_key",
    "random_normal", "random_truncated_normal", "random_uniform",
}  # fmt: skip
"""Random numbers, which layers draw in training alone; ONNX's own would be others."""


def _primitives() -> dict[str, Primitive]:
    found = {}
    for module in pkgutil.walk_packages(engine.primitives.__path__, "engine.primitives."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Primitive):
                found[value.name] = value
    return found


def _is_left_out(name: str) -> bool:
    updates = name.endswith("_update") or "_update_" in name  # of optimizers
    gradients = (name.endswith("_gradient") and name != "stop_gradient") or name in ONLY_IN_GRADIENTS
    return updates or gradients or name in ONLY_IN_PLANS or name in DRAWS


def test_every_primitive_has_a_rule_or_a_reason_to_have_none() -> None:
    primitives = _primitives()
    assert len(primitives) > 130
    without = {name for name, item in primitives.items() if item not in RULES}
    assert without == {name for name in primitives if _is_left_out(name)}
