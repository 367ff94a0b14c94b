"""Fusion: a chain of primitives as one node, for kernels that do the whole chain in one go over memory.

Only passes over a captured graph make such nodes, where a kernel takes the chain; the reference evaluates the links
one after another, so that a chain means exactly what its nodes meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from engine.primitives.primitive import Array, Primitive, Spec, primitive

Options = tuple[tuple[str, Any], ...]


class Link(NamedTuple):
    """One primitive of a chain.

    Attributes:
        primitive: what is done; it has one result.
        operands: where its inputs come from: an index among the inputs of the chain, or None for the result of the
            link before.
        options: its options, sorted by name.
    """

    primitive: Primitive
    operands: tuple[int | None, ...]
    options: Options = ()

    def __repr__(self) -> str:
        return self.primitive.name


Chain = tuple[Link, ...]


def results_along(chain: Chain, specs: Sequence[Spec]) -> Iterator[Spec]:
    """What each link gives, for a chain whose inputs are of these specs."""
    result: Spec | None = None
    for link in chain:
        inputs = [result if index is None else specs[index] for index in link.operands]
        result = link.primitive.infer(inputs, dict(link.options))[0]  # type: ignore[arg-type]
        yield result


def _chain_rule(*specs: Spec, chain: Chain) -> Spec:
    *_, last = results_along(chain, specs)
    return Spec(last.shape, last.dtype)


@primitive(_chain_rule, differentiable=False)
def fused(*arrays: Array, chain: Chain) -> Array:
    """The result of the last link of `chain`, each link taking the given arrays and the result before."""
    value: Array | None = None
    for link in chain:
        inputs: Sequence[Any] = [value if index is None else arrays[index] for index in link.operands]
        value = link.primitive.evaluate(inputs, dict(link.options))[0]
    assert value is not None
    return value
