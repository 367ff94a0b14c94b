"""Nodes compared with ONNX's own description of their operators, before anything is made of them."""

from __future__ import annotations

from typing import Any

from engine.onnx.package import onnx_package
from engine.onnx.reading.node import describe


def check_node(proto: Any, version: int) -> None:
    """Makes sure that a node of the standard operators has the inputs and attributes of its version.

    Attributes that no version has are passed over: some exporters leave notes of their own.

    Raises:
        ValueError: too few or too many inputs, or an attribute whose meaning has moved, into an input for instance.
    """
    defs = onnx_package().defs
    if not defs.has(proto.op_type):
        return  # refused when it is translated, with its name
    try:
        schema = defs.get_schema(proto.op_type, max_inclusive_version=version)
    except defs.SchemaError:
        raise ValueError(f"{describe(proto)}: version {version} of ONNX's operators has none of this name") from None
    count = len(proto.input)
    if not schema.min_input <= count <= schema.max_input:
        raise ValueError(
            f"{describe(proto)} has {count} inputs; expected {schema.min_input} to {schema.max_input} in version "
            f"{version}"
        )
    for attribute in proto.attribute:
        if attribute.name in schema.attributes:
            continue
        end = _known_before(defs, schema, attribute.name)
        if end is not None:
            raise ValueError(
                f"{describe(proto)}: its attribute {attribute.name!r} is of versions before {end}; the file declares "
                f"{version}"
            )


def _known_before(defs: Any, schema: Any, attribute: str) -> int | None:
    """The version since which an operator lacks an attribute; None where it never had it."""
    while schema.since_version > 1:
        since = int(schema.since_version)
        try:
            schema = defs.get_schema(schema.name, max_inclusive_version=since - 1)
        except defs.SchemaError:
            return None
        if attribute in schema.attributes:
            return since
    return None
