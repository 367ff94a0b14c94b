"""What is known of a served model, fact by fact."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from service.commands.tables import size_text
from service.repository import ServedModel

_LABELS = 10  # that are listed; of more the first and last ones


def facts(served: ServedModel) -> Iterator[tuple[str, str]]:
    """Pairs of a subject and what is known of it: serving.toml, the model file, the labels."""
    yield "name", served.name
    yield "version", served.version
    yield "folder", str(served.folder)
    yield from _file_facts(served.model_path)
    yield "input", f"{served.width}x{served.height} {served.color}, resize {served.resize}, fit {served.fit}"
    if served.steps:
        yield "steps", ", ".join(served.steps)
    yield "preprocessing", f"scale {served.scale:g}, mean {_numbers(served.mean, 0)}, std {_numbers(served.std, 1)}"
    yield "precision", served.precision
    if served.calibration_path is not None:
        there = "" if served.calibration_path.is_file() else " (missing)"
        yield "calibration", f"{served.calibration_path.name}{there}"
    yield "activation", served.activation
    yield "labels", f"{len(served.labels)}: {_labels(served.labels)}"
    yield "top k", str(served.top_k)
    yield "batches", f"up to {served.max_batch}"
    yield "deadline", f"{served.deadline_s:g} s"
    yield "compute limit", f"{served.compute_limit_s:g} s"


def _file_facts(path: Path) -> Iterator[tuple[str, str]]:
    if not path.is_file():
        yield "model", f"{path.name} (missing)"
        return
    from engine.inspection import inspect_file

    yield "model", path.name
    yield "size", size_text(path.stat().st_size)
    with path.open("rb") as file:
        yield "sha256", hashlib.file_digest(file, "sha256").hexdigest()
    try:
        report = inspect_file(path)
    except (OSError, ValueError, TypeError) as error:
        yield "layers", f"the file cannot be read: {error}"
        return
    yield "layers", str(len(report.parts))
    yield "parameters", f"{report.parameters:,}"


def _numbers(values: Sequence[float], default: float) -> str:
    return ", ".join(f"{value:g}" for value in values or (default,))


def _labels(labels: Sequence[str]) -> str:
    if len(labels) <= _LABELS:
        return ", ".join(labels)
    half = _LABELS // 2
    return f"{', '.join(labels[:half])}, … {', '.join(labels[-half:])}"
