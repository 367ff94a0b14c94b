"""Primitives on the bits of integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.primitives.primitive import Array, Primitive, Spec, broadcast_rule, primitive


def _rule(name: str) -> Any:
    def rule(*specs: Spec, **_: Any) -> Spec:
        if any(spec.dtype.kind not in "iub" for spec in specs):
            raise ValueError(f"{name} expects integers. Received: {', '.join(spec.dtype.name for spec in specs)}")
        return broadcast_rule(*specs)

    return rule


def _bitwise(ufunc: np.ufunc) -> Primitive:
    def reference(*arrays: Array) -> Array:
        return ufunc(*arrays)

    reference.__name__ = ufunc.__name__
    made = primitive(_rule(ufunc.__name__), promote=ufunc.nin > 1, ufunc=ufunc, differentiable=False)(reference)
    made.checked = True  # the rule knows more than NumPy's error says
    return made


bitwise_and = _bitwise(np.bitwise_and)
bitwise_or = _bitwise(np.bitwise_or)
bitwise_xor = _bitwise(np.bitwise_xor)
bitwise_not = _bitwise(np.invert)
left_shift = _bitwise(np.left_shift)
right_shift = _bitwise(np.right_shift)
