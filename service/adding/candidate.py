"""A model that is ready to be written into the repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.adding.decision import Decision
from service.architectures import Preprocessing


@dataclass(frozen=True)
class Candidate:
    """A classifier with all that its serving.toml says of it.

    Attributes:
        model: Takes float images (n, height, width, channels), gives one value a label.
        origin: Where it comes from, in a line.
        preprocessing: Of its images.
        labels: One per class.
        fit, activation, steps: As in serving.toml.
        notes: What the user should know, a sentence each.
        decisions: What was settled for the user, and why.
    """

    model: Any
    origin: str
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    fit: str = "crop"
    activation: str = "none"
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its images."""
        height, width = self.model.inputs[0].shape[1:3]
        return width, height
