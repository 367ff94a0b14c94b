"""Resize and Upsample: images of other sizes."""

from __future__ import annotations

from typing import Any

from engine import layers
from engine.layers.extensions import Interpolation
from engine.onnx.axes import channels_last
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value


@operator("Upsample")
def upsample(builder: Builder, node: Node) -> Value:
    """ONNX's Upsample (up to version 9): each output stands at o / scale."""
    scales = node.get("scales") if node.version < 9 else [float(item) for item in node.constant(1, "scales").ravel()]
    return _resized(builder, node, node.get("mode", "nearest"), scales, None, "asymmetric", "floor")


@operator("Resize")
def resize(builder: Builder, node: Node) -> Value:
    """ONNX's Resize."""
    mode = node.get("mode", "nearest")
    if node.version < 11:
        factors = [float(item) for item in node.constant(1, "scales").ravel()]
        return _resized(builder, node, mode, factors, None, "asymmetric", "floor")
    coordinates = node.get("coordinate_transformation_mode", "half_pixel")
    if coordinates == "tf_crop_and_resize":
        node.refuse("resizing a region (tf_crop_and_resize) is not supported")
    if node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        node.refuse(f"keep_aspect_ratio_policy {node.get('keep_aspect_ratio_policy')!r} is not supported")
    scales: list[float] | None = None
    sizes: list[Any] | None = None
    if node.optional(2) is not None and node.constant(2, "scales").size:
        scales = [float(item) for item in node.constant(2, "scales").ravel()]
    elif node.optional(3) is not None:
        sizes = list(node.constant(3, "sizes").ravel())
    else:
        raise ValueError("it has neither scales nor sizes")
    return _resized(builder, node, mode, scales, sizes, coordinates, node.get("nearest_mode", "round_prefer_floor"))


def _resized(
    builder: Builder,
    node: Node,
    mode: str,
    scales: list[float] | None,
    sizes: list[Any] | None,
    coordinates: str,
    rounding: str,
) -> Value:
    value = builder.with_file_columns(node[0])
    given: Any = scales if sizes is None else sizes
    axes = [value.positive(axis) for axis in node.get("axes") or range(value.rank)]
    if given is None or len(given) != len(axes):
        raise ValueError(f"it resizes the axes {axes} to {given}")
    lengths = builder.shape(value)
    changed = {
        axis: item
        for axis, item in zip(axes, given, strict=True)
        if not (item == 1.0 if sizes is None else item == lengths[axis])
    }
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    if 0 in changed and sizes is not None and changed[0] == builder.declared_batch:
        del changed[0]
    if 0 in changed:
        node.refuse("resizing the batch axis is not supported")
    builder.keeps_examples_apart(value, list(changed))
    if not changed:
        return Value("", value.tensor, value.order)
    if node.get("antialias", 0) and mode != "nearest" and _shrinks(changed, lengths, sizes is None):
        node.refuse("antialias while shrinking is not supported")
    repeated = _repeated(builder, value, changed, lengths, sizes is None, mode, coordinates, rounding)
    if repeated is not None:
        return repeated
    if value.order[0] in changed:
        value = Value(value.name, builder.as_file(value))
    items = {value.axis(axis): item for axis, item in changed.items()}
    layer = Interpolation(
        list(items),
        factors=[float(item) for item in items.values()] if sizes is None else None,
        sizes=None if sizes is None else [int(item) for item in items.values()],
        method=mode,
        coordinates=coordinates,
        rounding=rounding,
        cubic=node.get("cubic_coeff_a", -0.75),
        excludes_outside=bool(node.get("exclude_outside", 0)),
        name=builder.name(),
        dtype=policy(value.dtype),
    )
    return Value("", layer(value.tensor), value.order)


def _shrinks(changed: dict[int, Any], lengths: Any, are_scales: bool) -> bool:
    return any(item < (1 if are_scales else lengths[axis]) for axis, item in changed.items())


def _repeated(
    builder: Builder,
    value: Value,
    changed: dict[int, Any],
    lengths: Any,
    are_scales: bool,
    mode: str,
    coordinates: str,
    rounding: str,
) -> Value | None:
    """Keras's UpSampling2D, where images grow by whole factors in one of its two ways."""
    if value.rank != 4 or not set(changed) <= {2, 3} or mode not in ("nearest", "linear"):
        return None
    factors = []
    for axis in (2, 3):
        item = changed.get(axis, 1 if are_scales else lengths[axis])
        factor = item if are_scales else item / lengths[axis] if isinstance(lengths[axis], int) else 0
        if factor < 1 or factor != int(factor):
            return None
        factors.append(int(factor))
    centred = coordinates in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
    if mode == "nearest":
        repeats = (coordinates == "asymmetric" and rounding == "floor") or (centred and rounding.startswith("round"))
        if not repeats:
            return None
    elif not centred:
        return None
    method = "nearest" if mode == "nearest" else "bilinear"
    layer = layers.UpSampling2D(factors, interpolation=method, name=builder.name(), dtype=policy(value.dtype))
    return Value("", layer(builder.channels_last(value)), channels_last(4))
