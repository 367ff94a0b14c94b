"""The ranges of an int8 model's values, seen on a folder of images and kept beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.adding.order import CALIBRATION_IMAGES, AddError, Order
from service.batching import decode_payload
from service.classifier import Classifier
from service.errors import ServiceError
from service.images import ImageLimits, encode_payload, open_image, prepare_image
from service.repository import ServedModel


def check_calibration(order: Order) -> None:
    """Raise AddError where int8 has no folder of images, or another precision has one."""
    if (order.precision == "int8") != (order.calibration is not None):
        raise AddError("int8 needs a folder of images like those to come (--calibration), other precisions need none")
    if order.calibration is not None and not order.calibration.is_dir():
        raise AddError(f"{order.calibration}: expected a folder of images, found none")


def calibrate_served(served: ServedModel, model: Any, folder: Path) -> list[str]:
    """Observe the model on a folder's images and keep what was seen beside it.

    Returns:
        Notes: how many images it were, and what was skipped.

    Raises:
        AddError: no image can be read.
    """
    from engine.inference import calibrate

    classifier = Classifier(served, lambda _: _Model(model))
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    step = max(1, len(paths) // CALIBRATION_IMAGES)
    batch = np.empty((min(len(paths), CALIBRATION_IMAGES), *served.shape), np.uint8)
    count = 0
    skipped: list[str] = []
    limits = ImageLimits()
    for path in [*paths[::step], *(path for number, path in enumerate(paths) if number % step)]:
        if count == len(batch):
            break
        try:
            image = prepare_image(open_image(path.read_bytes(), limits), served, limits)
        except (ServiceError, OSError):
            skipped.append(path.name)
            continue
        decode_payload(encode_payload(image, served, 1), batch[count])
        count += 1
    if not count:
        raise AddError(f"{folder}: expected images, found none that can be read among {len(paths)} files")
    assert served.calibration_path is not None
    calibrate(model, classifier.preprocess(batch[:count])).save(served.calibration_path)
    notes = [f"Calibrated with {count} images of {folder}."]
    if skipped:
        notes.append(f"Skipped {len(skipped)} files that are no readable images, such as {skipped[0]}.")
    return notes


class _Model:
    """A model as a session: `predict`, in float32."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def run(self, x: NDArray[np.float32]) -> Any:
        return self._model.predict(x, verbose=0)
