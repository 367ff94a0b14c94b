"""What a model file tells of itself that its images' preprocessing and its labels can be guessed from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.inspection import ModelReport

_FRONT_END = ("conv", "dense", "gemm", "matmul", "embedding", "flatten")
"""Kinds, in lower case, whose name has one of these begin the network proper."""
_RESCALING = ("Rescaling", "Normalization", "Sub", "Mul", "Div", "ImageScaler")
_LABEL_KEYS = ("classes", "class_names", "names", "labels")
_METADATA = re.compile(r"([^:]+): (.*)", re.DOTALL)


@dataclass(frozen=True)
class Evidence:
    """What is known of a model file.

    Attributes:
        path: The file.
        names: What the model is called: the file's name and its own.
        written_by: The program that wrote it, in lower case.
        format: As the inspection calls it.
        front: Kinds of the layers before the first that computes with weights.
        metadata: Properties that an ONNX file carries, and its labels, as the inspection notes them.
        labels: Class names in the file; none where it has none.
        size: Width and height of its images. channels: 1 or 3.
        whole_numbers: Whether the input's type holds whole numbers alone.
        fitting: How pixels must be scaled for the statistics that the model learnt; None where it holds none.
    """

    path: Path
    names: tuple[str, ...] = ()
    written_by: str = ""
    format: str = ""
    front: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)
    channels: int = 3
    whole_numbers: bool = False
    fitting: str | None = None

    @property
    def rescales(self) -> str | None:
        """The kind of the layer in front that scales pixels; None where there is none."""
        return next((kind for kind in self.front if kind in _RESCALING), None)

    @property
    def from_keras(self) -> bool:
        """Whether Keras or TensorFlow made the model, whatever the format."""
        return not self.format.startswith("ONNX") or any(name in self.written_by for name in ("keras", "tf2onnx"))

    def is_called(self, *known: str) -> str | None:
        """The longest of the known names (words joined by `_`) that one of the model's begins with or contains."""
        for name in sorted(known, key=len, reverse=True):
            pattern = re.compile(r"(?<![a-z0-9])" + name.replace("_", "[-_ ]?") + r"(?!\d)")
            if any(pattern.search(own.lower()) for own in self.names):
                return name
        return None


def gather_evidence(
    path: Path, report: ModelReport, model: Any, *, size: tuple[int, int], channels: int, fitting: str | None
) -> Evidence:
    """What an inspection and the model itself say."""
    metadata: dict[str, str] = {}
    for match in map(_METADATA.fullmatch, report.notes):
        if match and report.format.startswith("ONNX"):
            metadata.setdefault(match[1], match[2])  # of two the first: it is the file's own
    return Evidence(
        path=path,
        names=(path.stem, str(getattr(model, "name", ""))),
        written_by=report.written_by.lower(),
        format=report.format,
        front=_front([part.kind for part in report.parts]),
        metadata=metadata,
        labels=_labels(model, metadata),
        size=size,
        channels=channels,
        whole_numbers=any("int" in str(value.dtype) for value in getattr(model, "inputs", None) or ()),
        fitting=fitting,
    )


def _front(kinds: Sequence[str]) -> tuple[str, ...]:
    front: list[str] = []
    for kind in kinds:
        if any(word in kind.lower() for word in _FRONT_END):
            return tuple(front)
        front.append(kind)
    return ()  # no such layer at all: nothing is in front of it


def _labels(model: Any, metadata: Mapping[str, str]) -> tuple[str, ...]:
    own = getattr(model, "labels", None)
    if isinstance(own, list | tuple):
        return tuple(map(str, own))
    for key in _LABEL_KEYS:
        labels = _listed(metadata.get(key, ""))
        if labels:
            return labels
    return ()


def _listed(text: str) -> tuple[str, ...]:
    """Names in a property: a JSON list, a JSON object by number, or separated by commas."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return tuple(part.strip() for part in text.split(",")) if "," in text else ()
    if isinstance(value, dict):
        value = [value.get(str(number)) for number in range(len(value))]
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    return ()
