"""Which operators of ONNX each primitive becomes: a table of rules, filled by the modules beside this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.primitives.primitive import Primitive

Rule = Callable[[Any, Any], None]
"""(writer, call): writes the nodes of a call and gives the writer its outputs."""

RULES: dict[Primitive, Rule] = {}


def writes(*primitives: Primitive) -> Callable[[Rule], Rule]:
    """Registers a rule for primitives."""

    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(primitives, rule))
        return rule

    return register
