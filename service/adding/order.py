"""What to add to the repository, what came of it, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.adding.decision import Decision
from service.repository import ServedModel

MODEL_FILE = "model.keras"
LABELS_FILE = "labels.txt"
RANDOM_WEIGHTS = "random"
PUBLISHED_WEIGHTS = "imagenet"
IMAGENET_CLASSES = 1000
MAX_BATCH = 8
"""Of models that are added: larger batches of such networks are hardly faster, but take more memory."""
CALIBRATION_IMAGES = 128
"""How many images of a folder calibrate; evenly spread over it where there are more."""


class AddError(RuntimeError):
    """The model cannot be added; the message says why, and the repository is as it was."""


@dataclass(frozen=True)
class Order:
    """What to add.

    Attributes:
        architecture: Name of a network, see `service.architectures`, or the path of a model file.
        weights: Of a network: `imagenet` (downloaded), `random` (for trials), or the path of a weights file.
            A model file has its own.
        labels: A file with one label a line, or a JSON file such as Keras's imagenet_class_index.json. None takes
            ImageNet's for a network (downloaded; numbers for random weights, where that fails), and for a model
            file what is found in it or beside it.
        name, version: Where in the repository; an empty name takes the architecture's or the file's.
        preprocess: Of a model file, one of `service.modes.MODES`; None guesses.
        size: Of a model file: width and height in pixels, where it leaves them free; None takes 224 x 224 there.
        color: Of a model file: `rgb`, `bgr` or `grey`; None guesses.
        crop: Of a model file: whether images are cut to its shape, or stretched; None crops.
        precision: As in serving.toml.
        calibration: Folder of images like those to come; needed for `int8` alone.
        max_batch: As in serving.toml.
        replace: Whether to take the place of a version that is there.
    """

    architecture: str
    weights: str = PUBLISHED_WEIGHTS
    labels: Path | None = None
    name: str = ""
    version: str = "1"
    preprocess: str | None = None
    size: tuple[int, int] | None = None
    color: str | None = None
    crop: bool | None = None
    precision: str = "float32"
    calibration: Path | None = None
    max_batch: int = MAX_BATCH
    replace: bool = False


@dataclass(frozen=True)
class Added:
    """What was added.

    Attributes:
        served: The entry of the repository.
        size_bytes: Of the model file.
        precision: In which it computes on this machine.
        notes: What else the user should know, a sentence each.
        decisions: How the model is served, and why so; none for a network whose ways are known.
    """

    served: ServedModel
    size_bytes: int
    precision: str
    notes: tuple[str, ...]
    decisions: tuple[Decision, ...] = ()
