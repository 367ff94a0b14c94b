"""A model repository with the random ResNet50 that the peers have, too: the same weights, the same normalisation."""

from __future__ import annotations

import shutil
from pathlib import Path

from service.adding import MAX_BATCH
from service.repository import CALIBRATION_FILE, DESCRIPTION_FILE
from tests.benchmarks.networks.shapes import IMAGE_SIDE, PIXEL_DEVIATION, PIXEL_MEAN, RESNET50_TOP_K

NAME = "ResNet50"
CLASSES = 1000

_SERVING = f"""
model = "model.keras"
[input]
width = {IMAGE_SIDE}
height = {IMAGE_SIDE}
color = "rgb"
resize = "bilinear"
[preprocessing]
mean = {PIXEL_MEAN}
std = {PIXEL_DEVIATION}
[inference]
precision = "{{precision}}"
{{calibration}}
[output]
labels_file = "labels.txt"
top_k = {RESNET50_TOP_K}
[batching]
max_batch = {MAX_BATCH}
"""


def write_repository(folder: Path, files: Path, precision: str) -> Path:
    """Write the repository from `files`, which holds what `networks.weights` and `networks.calibration` wrote."""
    version = folder / NAME.lower() / "1"
    version.mkdir(parents=True)
    (version / "model.keras").symlink_to((files / f"{NAME}.keras").resolve())
    (version / "labels.txt").write_text("".join(f"class {number}\n" for number in range(CLASSES)))
    calibration = ""
    if precision == "int8":
        shutil.copy(files / f"{NAME}.calibration.json", version / CALIBRATION_FILE)
        calibration = f'calibration = "{CALIBRATION_FILE}"'
    (version / DESCRIPTION_FILE).write_text(_SERVING.format(precision=precision, calibration=calibration))
    return folder
