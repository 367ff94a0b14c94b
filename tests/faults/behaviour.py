"""What the tests' model does: how long it takes, whether it lies, and which images break it in which way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from clients.load.numbered import SIDE, label_of

VARIABLE = "FAULTS_BEHAVIOUR"  # that carries it to the worker processes
CLASSES = 1000
CERTAINTY = 0.9

_FIRST_MARKER, _NUMBERS_A_MARKER = 0xF00000, 0x10000


class Marker(Enum):
    """What an image does to the model, by the range that its number lies in; smaller numbers do no harm."""

    RAISES = 0
    SEGFAULTS = 1
    HANGS = 2
    HANGS_LOCKED = 3
    """Hangs with Python's interpreter lock held, so that no other thread of the process runs either."""
    EXITS = 4
    NOT_A_NUMBER = 5

    def number(self, which: int) -> int:
        """The number of the image `which` of this kind, from 0 on."""
        if not 0 <= which < _NUMBERS_A_MARKER:
            raise ValueError(f"expected 0 to {_NUMBERS_A_MARKER - 1}, got {which}")
        return _FIRST_MARKER + self.value * _NUMBERS_A_MARKER + which

    @staticmethod
    def of(number: int) -> Marker | None:
        """The marker that a number carries, or None."""
        kind = (number - _FIRST_MARKER) // _NUMBERS_A_MARKER
        return Marker(kind) if 0 <= kind < len(Marker) else None


@dataclass(frozen=True)
class Behaviour:
    """Of the model and the worker around it.

    Attributes:
        log_folder: where each worker process writes down what it did (see `worklog`).
        batch_s: seconds that a batch takes, whatever its size.
        image_s: seconds on top of that for each image.
        wrong_every: images whose number it divides get a wrong answer; 0: none. For the negative control.
        lease_ms: in place of the workers' own; 0 keeps that. For the negative control.
    """

    log_folder: Path
    batch_s: float = 0.0
    image_s: float = 0.0
    wrong_every: int = 0
    lease_ms: int = 0

    def to_environ(self) -> dict[str, str]:
        """The variable from which `load` makes an equal one."""
        return {VARIABLE: json.dumps(asdict(self) | {"log_folder": str(self.log_folder)})}

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Behaviour:
        """Read it in a worker process; KeyError where the variable is not set."""
        fields = json.loads(environ[VARIABLE])
        return cls(**fields | {"log_folder": Path(fields["log_folder"])})


def write_repository(
    folder: Path, *, max_batch: int = 8, deadline_s: float = 20.0, compute_limit_s: float = 10.0
) -> Path:
    """Write a model repository whose only model is `numbered`; it needs no file of weights."""
    version = folder / "numbered" / "1"
    version.mkdir(parents=True)
    (version / "labels.txt").write_text("".join(f"{label_of(number)}\n" for number in range(CLASSES)))
    (version / "serving.toml").write_text(
        f'[input]\nwidth = {SIDE}\nheight = {SIDE}\ncolor = "grey"\n'
        '[output]\nlabels_file = "labels.txt"\ntop_k = 1\n'
        f"[batching]\nmax_batch = {max_batch}\ndeadline_s = {deadline_s}\ncompute_limit_s = {compute_limit_s}\n"
    )
    return folder
