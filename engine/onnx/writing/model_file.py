"""A model as an ONNX file: inputs, graph, outputs and metadata put together, and written."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine import __version__
from engine.onnx.axes import channels_last, inverse, ordered, same
from engine.onnx.package import onnx_package
from engine.onnx.writing.computation import Computation, computation
from engine.onnx.writing.form import Form
from engine.onnx.writing.lengths import Free, Samples
from engine.onnx.writing.rules import RULES
from engine.onnx.writing.signature import InputForm, Signature, output_names, signature
from engine.onnx.writing.writer import Writer
from engine.saving import archive

OLDEST_OPSET, NEWEST_OPSET = 13, 21
"""The versions of ONNX's operators that can be written."""

_MESSAGE_LIMIT = 2_000_000_000  # bytes of weights above which they lie in a file of their own: messages end at 2 GiB


def write_model(
    model: Any,
    path: str | os.PathLike[str],
    opset: int = 17,
    input_signature: Any = None,
    *,
    channels_first_inputs: bool = False,
    labels: Sequence[str] | None = None,
    external_data: bool | None = None,
) -> None:
    """Writes a model's prediction as an ONNX file.

    The file takes any batch; its inputs and outputs have the model's names, shapes and dtypes, those of bfloat16 as
    float32. Weights are named after their variables, nodes after their layers. Other free axes stay free where the
    computation follows them; where it does not, an error asks for `input_signature`.

    Args:
        model: sequential, functional or subclassed; built.
        path: of the file.
        opset: the version of ONNX's operators, 13 to 21.
        input_signature: a nest of objects with `shape` (None where free) and `dtype`, such as `InputSpec`; default:
            the model's own inputs.
        channels_first_inputs: the file takes images as (batch, channels, rows, columns), inputs of four axes alike.
        labels: the names of the classes, kept in the file's metadata under "labels" as JSON.
        external_data: weights go to a file beside it, named like it with ".data" added; default: where they are too
            large for one file.

    Raises:
        ImportError: the package onnx is missing.
        ValueError: the opset is none of those, the model's shapes are not known, it keeps state or draws random
            numbers while it predicts, or a free axis changes what it computes.
        CaptureError: Python in the model looks at values.
    """
    onnx = onnx_package()
    target = Path(path)
    proto = model_proto(model, opset, input_signature, channels_first_inputs, labels)
    size = sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
    if external_data or (external_data is None and size > _MESSAGE_LIMIT):
        _write_apart(proto, target)
    else:
        onnx.checker.check_model(proto)
        archive.replace(target, proto.SerializeToString())


def _write_apart(proto: Any, target: Path) -> None:
    """Writes a file, and its weights to another beside it; each is put in its place whole."""
    onnx = onnx_package()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        made, weights = Path(folder) / target.name, f"{target.name}.data"
        onnx.save_model(proto, str(made), save_as_external_data=True, location=weights)
        onnx.checker.check_model(str(made))
        os.replace(made.with_name(weights), target.with_name(weights))
        os.replace(made, target)


def model_proto(
    model: Any,
    opset: int = 17,
    input_signature: Any = None,
    channels_first_inputs: bool = False,
    labels: Sequence[str] | None = None,
) -> Any:
    """The ModelProto that `write_model` writes."""
    onnx = onnx_package()
    if not isinstance(opset, int) or not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise ValueError(f"opset: expected {OLDEST_OPSET} to {NEWEST_OPSET}. Received: {opset!r}")
    described = signature(model, input_signature)
    described, computed = _computed(model, described)
    sources = []
    for form in described.inputs:
        rank = len(form.shape)
        sources.append((form.name, channels_last(rank) if channels_first_inputs and rank == 4 else same(rank)))
    writer = Writer(opset, computed.samples, sources)
    inputs = []
    for form, value, (name, order) in zip(described.inputs, computed.inputs, sources, strict=True):
        writer.give(value, name, Form(order))
        inputs.append(_info(writer, form._replace(shape=ordered(form.shape, inverse(order)))))
    outputs = _written(writer, model, computed)
    graph = onnx.helper.make_graph(writer.nodes, model.name, inputs, outputs, writer.initializers)
    operators = [onnx.helper.make_opsetid("", opset)]
    proto = onnx.helper.make_model(
        graph,
        producer_name="beagle",
        producer_version=__version__,
        opset_imports=operators,
        ir_version=onnx.helper.find_min_ir_version_for(operators),
    )
    if labels is not None:
        onnx.helper.set_model_props(proto, {"labels": json.dumps([str(label) for label in labels])})
    return proto


def _computed(model: Any, described: Signature) -> tuple[Signature, Computation]:
    """The computation; where free axes do not get along as they are, with those of one position tied together."""
    try:
        return described, computation(model, described)
    except ValueError:
        tied = described.tied()
        several = sum(any(isinstance(n, str) for n in form.shape[1:]) for form in described.inputs) > 1
        if not several:
            raise
        return tied, computation(model, tied)


def _info(writer: Writer, form: InputForm) -> Any:
    helper = onnx_package().helper
    return helper.make_tensor_value_info(form.name, writer.element_type(form.dtype), list(form.shape))


def _written(writer: Writer, model: Any, computed: Computation) -> list[Any]:
    """Writes all calls; returns what the file says of its outputs."""
    for call in computed.calls:
        rule = RULES.get(call.primitive)
        writer.begin(call)
        if rule is None:
            raise writer.refuse("ONNX has no operator for it, and the model's prediction should not need it")
        rule(writer, call)
    values = computed.outputs
    names = [writer.unique(name) for name in output_names(model, len(values), computed.structure)]
    found = [writer.take(value) for value in values]
    writer.name_outputs(found, names)
    writer.drop_unused(names)
    infos = []
    for name, value in zip(names, values, strict=True):
        shape = [_shown(length, name, axis, computed.samples) for axis, length in enumerate(value.shape)]
        infos.append(_info(writer, InputForm(name, tuple(shape), value.dtype)))
    return infos


def _shown(length: int | Free, name: str, axis: int, samples: Samples) -> int | str:
    """A length as the file says it: a number, the free axis that it equals, or a name of its own."""
    if not isinstance(length, Free):
        return length
    for index, free in enumerate(samples.axes):
        if tuple(row[index] for row in samples.lengths) == tuple(length):
            return free.name
    return f"{name}_{axis}"
