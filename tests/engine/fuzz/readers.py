"""The readers that are fuzzed, and which answers are right."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine
from engine.inspection import inspect_file
from engine.models import load_model, model_from_json, model_from_yaml
from engine.onnx import read_model

ANSWERS = (ValueError, TypeError, FileNotFoundError)
"""How a reader says that a file is not right."""

_weighted: list[Any] = []


def _target() -> Any:
    """A model that weights are read into; always the same one, since reading them wrong leaves it as it was."""
    if not _weighted:
        layers = engine.layers
        _weighted.append(
            engine.Sequential(
                [
                    engine.Input((4, 4, 1), name="input"),
                    layers.Conv2D(2, 3, name="first"),
                    layers.BatchNormalization(name="normal"),
                    layers.Flatten(name="flat"),
                    layers.Dense(3, name="last"),
                ],
                name="small",
            )
        )
    return _weighted[0]


def _read_weights(path: Path) -> None:
    _target().load_weights(path)


def _skip_weights(path: Path) -> None:
    _target().load_weights(path, skip_mismatch=True)


def _named_weights(path: Path) -> None:
    _target().load_weights(path, by_name=True)


READERS: dict[str, Callable[[Path], Any]] = {
    "load": load_model,
    "inspect": inspect_file,
    "channels_last": lambda path: read_model(path, channels_last=True, input_sizes=(32, 32)),
    "weights": _read_weights,
    "weights_skipped": _skip_weights,
    "weights_by_name": _named_weights,
    "json": lambda path: model_from_json(path.read_bytes()),
    "yaml": lambda path: model_from_yaml(path.read_bytes().decode("utf-8", "replace")),
}
_OF_TEXTS = ("json", "yaml")  # which do not know the file's name


def answer(reader: str, path: Path) -> tuple[str, str]:
    """What a reader makes of a file: "read", "refused" or "wrong", and what it said."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            READERS[reader](path)
    except ANSWERS as error:
        if _is_about_memory(error):
            return "wrong", f"it ran out of memory: {error!r:.500}"
        if reader in _OF_TEXTS or path.name in str(error):
            return "refused", f"{type(error).__name__}: {error!s:.300}"
        return "wrong", f"the error does not name the file: {type(error).__name__}: {error!s:.500}"
    return "read", ""


def _is_about_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False
