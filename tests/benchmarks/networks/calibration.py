"""The calibration of an application for our int8 sessions, on the images that ONNX Runtime's is made from, too.

`python -m tests.benchmarks.networks.calibration NAME FOLDER` reads what `networks.weights` wrote there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine import models
from engine.inference import calibrate


def main(arguments: Sequence[str]) -> None:
    """Write `NAME.calibration.json`."""
    name, folder = arguments
    model = models.load_model(str(Path(folder, f"{name}.keras")))
    calibrate(model, np.load(Path(folder, "images.npy"))).save(str(Path(folder, f"{name}.calibration.json")))


if __name__ == "__main__":
    main(sys.argv[1:])
