"""What a model's classes are called: read from a file, found with a model, or guessed from their number."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from service.adding.decision import Decision
from service.adding.evidence import Evidence
from service.adding.order import IMAGENET_CLASSES, AddError

NAMES_BESIDE = ("labels.txt", "class_index.json", "imagenet_class_index.json", "classes.txt")
"""Files in a model's folder that are taken for its labels, where their number fits."""
MAX_BYTES = 16 << 20
"""Of a file of labels."""
FLAG = "--labels"
DIGITS = tuple("0123456789")
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def read_labels(path: Path | None) -> tuple[str, ...]:
    """One label per class, from a file; None takes ImageNet's.

    Raises:
        ValueError: the file holds no labels. OSError: it cannot be read, or ImageNet's cannot be fetched.
    """
    if path is None:
        from engine.applications.imagenet_utils import class_index

        try:
            return tuple(name for _, name in class_index())
        except ConnectionError as error:
            raise ConnectionError(f"{error} Or name a file of labels with {FLAG}.") from None
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: expected a file of labels, up to {MAX_BYTES} bytes, got {path.stat().st_size}")
    try:
        text = path.read_text(encoding="utf-8")
        labels = _class_index_labels(json.loads(text)) if path.suffix == ".json" else text.splitlines()
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(f"{path}: expected one label a line, or Keras's class index in JSON: {error}") from None
    if not labels or not all(label.strip() for label in labels):
        raise ValueError(f"{path}: expected one label a line, none empty, got {len(labels)} lines")
    return tuple(labels)


def _class_index_labels(index: Any) -> list[str]:
    """Labels of `{"0": ["n01440764", "tench"], …}`."""
    return [str(index[str(number)][1]) for number in range(len(index))]


def numbered_labels(count: int) -> tuple[str, ...]:
    """Labels for classes without names."""
    return tuple(f"class {number}" for number in range(count))


def find_labels(asked: Path | None, count: int, evidence: Evidence) -> tuple[tuple[str, ...], Decision]:
    """The labels of a model file's classes, and where they come from.

    Args:
        asked: The file that the user names. count: How many classes the model tells apart.

    Raises:
        AddError: the user's file has another number of labels.
        ValueError, OSError: it cannot be read.
    """
    if asked is not None:
        labels = read_labels(asked)
        if len(labels) != count:
            raise AddError(f"{FLAG}: expected {count} labels, one for each output of the model, but {asked} has "
                           f"{len(labels)}")  # fmt: skip
        return labels, Decision("labels", _sample(labels), f"from {asked}")
    for path in (evidence.path.parent / name for name in NAMES_BESIDE):
        labels = _fitting(path, count)
        if labels:
            return labels, Decision("labels", _sample(labels), f"{path.name} lies beside the model", FLAG)
    labels = _clean(evidence.labels)
    if len(labels) == count:
        return labels, Decision("labels", _sample(labels), "they are in the file", FLAG)
    return _guess(count, evidence)


def _guess(count: int, evidence: Evidence) -> tuple[tuple[str, ...], Decision]:
    """Labels by their number, and the size of the images."""
    reason = f"{count} outputs, and nothing says what they are called"
    if count in (IMAGENET_CLASSES, IMAGENET_CLASSES + 1):
        try:
            labels = read_labels(None)
        except (OSError, ValueError):
            reason = f"{count} outputs, as ImageNet's classes, but their names could not be fetched"
        else:
            background = ("background",) if count > IMAGENET_CLASSES else ()
            labels = (*background, *labels)
            return labels, Decision("labels", _sample(labels), f"{count} outputs, as ImageNet's classes", FLAG)
    if count == 10 and evidence.size == (28, 28) and evidence.channels == 1:
        return DIGITS, Decision("labels", _sample(DIGITS), "10 outputs for grey images of 28x28", FLAG)
    if count == 10 and evidence.is_called("cifar10", "cifar_10"):
        return _CIFAR10, Decision("labels", _sample(_CIFAR10), "the name says CIFAR-10", FLAG)
    labels = numbered_labels(count)
    return labels, Decision("labels", _sample(labels), reason, FLAG)


def _fitting(path: Path, count: int) -> tuple[str, ...]:
    """The labels of a file, none where there is no such file or it is of another model."""
    try:
        labels = read_labels(path) if path.is_file() else ()
    except (OSError, ValueError):
        return ()
    return labels if len(labels) == count else ()


def _clean(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels as serving.toml's file can hold them: a line each, none where one would be empty."""
    lines = tuple(" ".join(str(label).split()) for label in labels)
    return lines if all(lines) else ()


def _sample(labels: tuple[str, ...]) -> str:
    return ", ".join(labels) if len(labels) <= 3 else f"{len(labels)}, {labels[0]} to {labels[-1]}"
