"""What all updates share: a formula for one chunk, made into a primitive that goes through whole arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.primitives.primitive import Array, Primitive, Spec, primitive

CHUNK = 16_384
"""Elements a chunk: with float32, five arrays of 64 KB, which a second-level cache holds."""

Formula = Callable[..., None]
"""formula(old, gradient, new, scratch, *scalars, **options), over flat arrays of one size.

`old` holds the variable and its slots, `new` takes their next values and may be the same memory, item by item; so may
nothing else. `scratch` holds arrays for what lies between. `scalars` are arrays without axes.
"""


def chunked_update(slots: int, scratch: int = 1, scalars: int = 1) -> Callable[[Formula], Primitive]:
    """Declares a primitive (variable, *slots, gradient, *scalars) -> (variable, *slots) by its formula.

    Args:
        slots: how many arrays of the variable's shape the optimizer keeps for it.
        scratch: how many temporary arrays the formula needs.
        scalars: how many numbers change from step to step (step sizes); options are what does not.
    """

    def declare(formula: Formula) -> Primitive:
        count = 1 + slots

        def into(inputs: Sequence[Array], outputs: Sequence[Array], **options: Any) -> None:
            flat = [array.reshape(-1) for array in inputs[: count + 1]]
            results = [array.reshape(-1) for array in outputs]
            numbers = inputs[count + 1 :]
            size = flat[0].size
            spare = [np.empty(min(CHUNK, size), flat[0].dtype) for _ in range(scratch)]
            if size <= CHUNK:  # most variables: nothing to cut
                formula(flat[:count], flat[count], results, spare, *numbers, **options)
                return
            for start in range(0, size, CHUNK):
                stop = min(start + CHUNK, size)
                old = [array[start:stop] for array in flat]
                new = [array[start:stop] for array in results]
                formula(old[:count], old[count], new, [array[: stop - start] for array in spare], *numbers, **options)

        def reference(*arrays: Array, **options: Any) -> tuple[Array, ...]:
            outputs = tuple(np.empty(array.shape, array.dtype) for array in arrays[:count])
            into(arrays, outputs, **options)
            return outputs

        def rule(*specs: Spec, **_: Any) -> tuple[Spec, ...]:
            shape = specs[0].shape
            for spec in specs[1 : count + 1]:
                if spec.shape != shape:
                    raise ValueError(
                        f"An update of a variable of shape {shape} was given an array of shape {spec.shape}."
                    )
            numbers = specs[count + 1 :]
            if len(numbers) != scalars or any(spec.shape != () for spec in numbers):
                raise ValueError(
                    f"{formula.__name__} needs {scalars} scalars. Received shapes: {[spec.shape for spec in numbers]}"
                )
            return tuple(Spec(spec.shape, spec.dtype) for spec in specs[:count])

        reference.__name__, reference.__doc__ = formula.__name__, formula.__doc__
        inplace = tuple((index, index) for index in range(count))
        return primitive(rule, outputs=count, into=into, inplace=inplace, differentiable=False)(reference)

    return declare


def average(old: Array, value: Array, new: Array, share: float, scratch: Array) -> None:
    """`new = old + (value - old) * share`: a moving average that takes in a share of a value.

    `scratch` may be `value`, which is then lost.
    """
    np.subtract(value, old, out=scratch)
    np.multiply(scratch, share, out=scratch)
    np.add(old, scratch, out=new)
