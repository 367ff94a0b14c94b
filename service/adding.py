"""A new version of a model in the repository: built, given its weights, described, tried, and put in its place."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.architectures import Architecture, find_architecture
from service.batching import decode_payload
from service.classifier import Classifier, ClassifierError, EngineLoader, Session
from service.errors import ServiceError
from service.images import ImageLimits, encode_payload, open_image, prepare_image
from service.repository import CALIBRATION_FILE, DESCRIPTION_FILE, ServedModel, is_model_place, read_served_model

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
        architecture: Name of a network, see `service.architectures`.
        weights: `imagenet` (downloaded), `random` (for trials), or the path of a weights file.
        labels: A file with one label a line, or a JSON file such as Keras's imagenet_class_index.json;
            None takes ImageNet's, which are downloaded (numbers for random weights, where that fails).
        name, version: Where in the repository; an empty name takes the architecture's.
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
    """

    served: ServedModel
    size_bytes: int
    precision: str
    notes: tuple[str, ...]


def add_model(repository: Path, order: Order, threads: int = 0) -> Added:
    """Add a model to a repository; the folder is made where it is absent.

    Args:
        repository: The folder. threads: Of the engine, for the trial; 0 takes what the machine grants.

    Raises:
        UnknownArchitectureError: no network has that name.
        AddError: the place is taken or no place, weights, labels or images cannot be had, or the trial failed.
    """
    architecture = find_architecture(order.architecture)
    name = order.name or architecture.name
    place = repository / name / order.version
    _check(repository, order, name, place)
    try:
        precision, notes = _make(architecture, order, name, place, threads)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise AddError(str(error)) from error
    served = read_served_model(place / DESCRIPTION_FILE, name=name, version=order.version)
    if precision != order.precision:
        notes.append(
            f"This CPU has no fast instructions for {order.precision}: here the model computes in {precision}."
        )
    if order.weights == RANDOM_WEIGHTS:
        notes.append("The weights are random: its answers mean nothing.")
    return Added(served, served.model_path.stat().st_size, precision, tuple(notes))


def _make(architecture: Architecture, order: Order, name: str, place: Path, threads: int) -> tuple[str, list[str]]:
    """Build, fill and try the version's folder; returns the precision in use, and notes."""
    labels, notes = _labels(order)
    model = architecture.build(weights=_weights(order.weights), classes=len(labels))
    with _new_folder(place) as folder:
        model.save(folder / MODEL_FILE)
        (folder / LABELS_FILE).write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        height, width = model.input_shape[1:3]
        _describe(folder, order, architecture, (width, height))
        served = read_served_model(folder / DESCRIPTION_FILE, name=name, version=order.version)
        if order.calibration is not None:
            notes += _calibrate(served, model, order.calibration)
        del model  # the trial loads it anew, as a worker will
        try:
            return _try(served, threads), notes
        except ClassifierError as error:
            raise AddError(f"the trial run failed: {error}") from error


def _check(repository: Path, order: Order, name: str, place: Path) -> None:
    if not is_model_place(name, order.version):
        raise AddError(
            "expected a name of letters, digits, '.', '_' and '-', and a version that is a whole number from 1, "
            f"got {name!r} and {order.version!r}"
        )
    for folder in (repository, place.parent):
        if folder.exists() and not folder.is_dir():
            raise AddError(f"--model-repository {repository}: expected a folder, but {folder} is a file")
    if order.weights not in (PUBLISHED_WEIGHTS, RANDOM_WEIGHTS) and not Path(order.weights).exists():
        raise AddError(
            f"--weights: expected {PUBLISHED_WEIGHTS}, {RANDOM_WEIGHTS} or a weights file, but {order.weights!r} "
            "does not exist"
        )
    if place.exists() and not order.replace:
        raise AddError(f"{place} is there already; --force replaces it, --version adds another beside it")
    if (order.precision == "int8") != (order.calibration is not None):
        raise AddError("int8 needs a folder of images like those to come (--calibration), other precisions need none")
    if order.calibration is not None and not order.calibration.is_dir():
        raise AddError(f"{order.calibration}: expected a folder of images, found none")


def _weights(weights: str) -> str | None:
    return None if weights == RANDOM_WEIGHTS else weights


def _labels(order: Order) -> tuple[list[str], list[str]]:
    """One label per class, and notes."""
    try:
        labels = _read_labels(order.labels)
    except ConnectionError:
        if order.weights != RANDOM_WEIGHTS:
            raise
        labels = [f"class {number}" for number in range(IMAGENET_CLASSES)]
        return labels, [f"ImageNet's labels could not be fetched: they are {labels[0]} to {labels[-1]}."]
    if order.weights == PUBLISHED_WEIGHTS and len(labels) != IMAGENET_CLASSES:
        raise AddError(
            f"--labels: --weights {PUBLISHED_WEIGHTS} need {IMAGENET_CLASSES} labels, but {order.labels} has "
            f"{len(labels)}"
        )
    return labels, []


def _read_labels(path: Path | None) -> list[str]:
    """One label per class.

    Raises:
        ValueError: the file holds no labels. OSError: it cannot be read, or ImageNet's cannot be fetched.
    """
    if path is None:
        from engine.applications.imagenet_utils import class_index

        try:
            return [name for _, name in class_index()]
        except ConnectionError as error:
            raise ConnectionError(f"{error} Or name a file of labels with --labels.") from None
    try:
        text = path.read_text(encoding="utf-8")
        labels = _class_index_labels(json.loads(text)) if path.suffix == ".json" else text.splitlines()
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path}: expected one label a line, or Keras's class index in JSON: {error}") from None
    if not labels or not all(label.strip() for label in labels):
        raise ValueError(f"{path}: expected one label a line, none empty, got {len(labels)} lines")
    return labels


def _class_index_labels(index: Any) -> list[str]:
    """Labels of `{"0": ["n01440764", "tench"], …}`."""
    return [str(index[str(number)][1]) for number in range(len(index))]


@contextmanager
def _new_folder(place: Path) -> Iterator[Path]:
    """A folder that becomes `place` when the block ends well, and otherwise is gone; what was there before goes."""
    place.parent.mkdir(parents=True, exist_ok=True)
    # Its name begins with a dot, so that nobody takes it for a version.
    folder = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if place.exists():
            place.rename(folder / ".replaced")
            folder.rename(place)
            shutil.rmtree(place / ".replaced")
        else:
            folder.rename(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not any(place.parent.iterdir()):
            place.parent.rmdir()


def _describe(folder: Path, order: Order, architecture: Architecture, size: tuple[int, int]) -> None:
    """Write serving.toml."""
    preprocessing = architecture.preprocessing
    lines = [
        f"# {architecture.name}, weights: {order.weights}",
        f'model = "{MODEL_FILE}"',
        "",
        "[input]",
        f"width = {size[0]}",
        f"height = {size[1]}",
        f'color = "{preprocessing.color}"',
        'resize = "bilinear"',
        'fit = "crop"',
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
        "",
        "[batching]",
        f"max_batch = {order.max_batch}",
    ]
    (folder / DESCRIPTION_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(values: Sequence[float]) -> str:
    return repr(values[0]) if len(values) == 1 else f"[{', '.join(map(repr, values))}]"


class _Model:
    """A model as a session: `predict`, in float32."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def run(self, x: NDArray[np.float32]) -> Any:
        return self._model.predict(x, verbose=0)


def _calibrate(served: ServedModel, model: Any, folder: Path) -> list[str]:
    """Observe the model on a folder's images and keep what was seen beside it; returns notes."""
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


def _try(served: ServedModel, threads: int) -> str:
    """Load the model as a worker does and run it once; returns the precision in use."""
    sessions: list[Session] = []

    def load(served: ServedModel) -> Session:
        sessions.append(EngineLoader(threads)(served))
        return sessions[0]

    Classifier(served, load)
    return str(getattr(sessions[0], "precision", served.precision))
