"""Masks on their way through layers: which steps of sequences count, and which are to be skipped.

A mask is bool, (batch, time), False for steps to skip. It lies on the value itself (`engine.tensor.mask_of`).
"""

from __future__ import annotations

import warnings
from typing import Any, Protocol

from engine import tree
from engine.tensor import Value, mask_of


class Masking(Protocol):
    """What of a layer concerns masks."""

    name: str

    @property
    def supports_masking(self) -> bool: ...

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any: ...


def mask_for(arguments: dict[str, Any]) -> Any:
    """The mask given to a call, else the nest of those that lie on its first argument; None where there is none."""
    if not arguments or arguments.get("mask") is not None:
        return _none_if_empty(arguments.get("mask"))
    return _none_if_empty(tree.map_structure(mask_of, next(iter(arguments.values()))))


def _none_if_empty(masks: Any) -> Any:
    """The nest of masks, or None where there is not one in it: Keras's files say `[null, null]` for two inputs."""
    return None if all(mask is None for mask in tree.flatten(masks)) else masks


def masks_by_name(names: dict[str, str], arguments: dict[str, Any]) -> dict[str, Any]:
    """The masks that lie on several arguments of a call, by the name under which the call takes each.

    Args:
        names: by argument, the name of its mask.
        arguments: of the call; a mask that was passed is left out.
    """
    found = {}
    for name, mask_name in names.items():
        if arguments.get(mask_name) is None and isinstance(arguments.get(name), Value):
            mask = mask_of(arguments[name])
            if mask is not None:
                found[mask_name] = mask
    return found


def put(values: Any, masks: Any) -> None:
    """Gives values the masks from a nest in the same order, where they have none yet."""
    for value, mask in zip(tree.flatten(values), tree.flatten(masks), strict=False):
        if mask is not None and isinstance(value, Value) and mask_of(value) is None:
            value._keras_mask = mask


def pass_on(layer: Masking, mask: Any, arguments: dict[str, Any], outputs: Any) -> None:
    """Puts on a layer's outputs the masks that they have not got yet; warns where a mask is lost."""
    if layer.supports_masking:
        put(outputs, layer.compute_mask(next(iter(arguments.values()), None), mask))
    elif mask is not None:
        warnings.warn(
            f"Layer {layer.name!r} of class {type(layer).__name__} got inputs with a mask, but does not support "
            "masking: the layers after it will not see the mask.",
            stacklevel=4,
        )
