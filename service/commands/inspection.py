"""A report on a model file, for people and for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from service.commands.tables import columns, printable, shape_text, size_text

if TYPE_CHECKING:
    from engine.inspection import ModelReport, Tensor


def report_json(report: ModelReport) -> str:
    """The report as one JSON object, with `supported` in it."""
    return json.dumps(dataclasses.asdict(report) | {"path": str(report.path), "supported": report.supported}, indent=2)


def report_lines(report: ModelReport) -> Iterator[str]:
    """The report as text: what it is, its parts as a table, and what is not supported."""
    if report.parts:
        rows = [("NAME", "KIND", "OUTPUT", "PARAMETERS", "")]
        for part in report.parts:
            problem = "" if part.problem is None else f"not supported: {printable(part.problem)}"
            rows.append(
                (printable(part.name), printable(part.kind), shape_text(part.shape), f"{part.parameters:,}", problem)
            )
        yield from columns(rows, right=(3,))
        yield ""
    facts = [
        ("file", printable(str(report.path))),
        ("format", printable(report.format)),
        ("written by", printable(report.written_by) or "the file does not say"),
        ("size", f"{size_text(report.size_bytes)} ({report.size_bytes:,} bytes)"),
        ("parameters", f"{report.parameters:,}"),
        *_tensors("input", report.inputs),
        *_tensors("output", report.outputs),
        *(("note", printable(note)) for note in report.notes),
        ("supported", "yes" if report.supported else "no"),
        *(("problem", printable(problem)) for problem in report.problems),
    ]
    yield from columns(facts)


def _tensors(subject: str, tensors: Sequence[Tensor]) -> Iterator[tuple[str, str]]:
    for tensor in tensors:
        dtype = f", {printable(tensor.dtype)}" if tensor.dtype else ""
        yield subject, f"{printable(tensor.name)}: {shape_text(tensor.shape)}{dtype}"
