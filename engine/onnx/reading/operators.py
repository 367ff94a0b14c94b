"""The operators that the reader knows: a table from ONNX's name to the rule that translates a node."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from engine.onnx.reading.builder import Builder
    from engine.onnx.reading.node import Node
    from engine.onnx.reading.value import Value

    Rule = Callable[[Builder, Node], Value | Sequence[Value | None]]

TRADITIONAL = "ai.onnx.ml"
"""The domain of what scikit-learn's models are made of."""

_FAMILIES = (
    "activation",
    "arithmetic",
    "constants",
    "convolution",
    "elementwise",
    "gathering",
    "linear",
    "normalization",
    "ordering",
    "padding",
    "pooling",
    "products",
    "quantization",
    "rearranging",
    "recurrent",
    "reduction",
    "repeating",
    "resizing",
    "scattering",
    "runtime_quantization",
    "shaping",
    "slicing",
    "support_vectors",
    "traditional",
    "transposed_convolution",
    "trees",
)

_rules: dict[tuple[str, str], Rule] = {}


Registered = TypeVar("Registered", bound="Callable[..., Any]")


def operator(*names: str, domain: str = "") -> Callable[[Registered], Registered]:
    """Registers a rule for operators of these names.

    A rule takes the builder and a node, adds layers to the network, and returns the node's outputs.
    """

    def register(rule: Registered) -> Registered:
        for name in names:
            if (domain, name) in _rules:
                raise ValueError(
                    f"operator {name!r} has two rules: {_rules[domain, name].__name__} and {rule.__name__}"
                )
            _rules[domain, name] = rule
        return rule

    return register


@functools.cache
def _import_families() -> None:
    for family in _FAMILIES:
        importlib.import_module(f"engine.onnx.reading.{family}")


def find_rule(domain: str, name: str) -> Rule | None:
    """The rule of an operator, or None."""
    _import_families()
    return _rules.get((domain, name))


def known_operators() -> list[tuple[str, str]]:
    """Domain and name of every operator that has a rule, sorted."""
    _import_families()
    return sorted(_rules)
