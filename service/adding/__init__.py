"""Models added to the repository: well-known networks by name, and files that people bring."""

from service.adding.addition import add_model
from service.adding.decision import Decision
from service.adding.order import (
    CALIBRATION_IMAGES,
    IMAGENET_CLASSES,
    LABELS_FILE,
    MAX_BATCH,
    MODEL_FILE,
    PUBLISHED_WEIGHTS,
    RANDOM_WEIGHTS,
    Added,
    AddError,
    Order,
)

__all__ = [
    "CALIBRATION_IMAGES",
    "IMAGENET_CLASSES",
    "LABELS_FILE",
    "MAX_BATCH",
    "MODEL_FILE",
    "PUBLISHED_WEIGHTS",
    "RANDOM_WEIGHTS",
    "AddError",
    "Added",
    "Decision",
    "Order",
    "add_model",
]
