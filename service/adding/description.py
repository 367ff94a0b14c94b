"""The serving.toml of a model that is added."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from service.adding.candidate import Candidate
from service.adding.order import LABELS_FILE, MODEL_FILE, Order
from service.repository import CALIBRATION_FILE, DESCRIPTION_FILE


def write_description(folder: Path, order: Order, candidate: Candidate) -> None:
    """Write serving.toml and the file of labels that it names."""
    preprocessing = candidate.preprocessing
    width, height = candidate.size
    lines = [
        f"# {_comment(candidate.origin)}",
        f'model = "{MODEL_FILE}"',
        "",
        "[input]",
        f"width = {width}",
        f"height = {height}",
        f'color = "{preprocessing.color}"',
        *([f"steps = {json.dumps(candidate.steps)}"] if candidate.steps else []),
        'resize = "bilinear"',
        f'fit = "{candidate.fit}"',
        "",
        "[preprocessing]",
        *(
            f"{key} = {_toml(values)}"
            for key, values in (("mean", preprocessing.mean), ("std", preprocessing.std))
            if values
        ),
        "",
        "[inference]",
        f'precision = "{order.precision}"',
        *([f'calibration = "{CALIBRATION_FILE}"'] if order.precision == "int8" else []),
        "",
        "[output]",
        f'labels_file = "{LABELS_FILE}"',
        *([f'activation = "{candidate.activation}"'] if candidate.activation != "none" else []),
        "",
        "[batching]",
        f"max_batch = {order.max_batch}",
    ]
    (folder / DESCRIPTION_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / LABELS_FILE).write_text("".join(f"{label}\n" for label in candidate.labels), encoding="utf-8")


def _comment(text: str) -> str:
    """The text as one line: a file's name may hold anything."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _toml(values: Sequence[float]) -> str:
    return repr(values[0]) if len(values) == 1 else f"[{', '.join(map(repr, values))}]"
