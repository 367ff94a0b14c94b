"""A model file that somebody brings, as a candidate: inspected, loaded, brought into the service's form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from service.adding.candidate import Candidate
from service.adding.decision import Decision
from service.adding.evidence import Evidence, gather_evidence
from service.adding.image_input import DEFAULT_SIDE, with_image_input
from service.adding.labels import DIGITS, find_labels, read_labels
from service.adding.order import PUBLISHED_WEIGHTS, AddError, Order
from service.adding.preprocessing import guess_color, guess_mode, preprocessing_of
from service.adding.probes import extreme_images, prepared, probe_images
from service.adding.scores import ending, settle_activation, with_scores
from service.adding.statistics import fitting_mode
from service.architectures import Preprocessing

if TYPE_CHECKING:
    from engine.inspection import ModelReport

SUFFIXES = (".keras", ".h5", ".hdf5", ".hdf", ".onnx", ".zip")
DIGIT_STEP = "digit"
_LISTED = 3  # problems that an error names; `inspect` tells all


def as_model_file(text: str) -> Path | None:
    """The path where a text names a model file, or the folder of an unzipped one; None where it is another name."""
    path = Path(text)
    bare = text == path.stem  # such as `resnet50`, whatever lies in the folder one happens to be in
    if path.suffix.lower() in SUFFIXES or (path.is_file() and not bare) or (path / "config.json").is_file():
        return path
    return None


def default_name(path: Path) -> str:
    """The file's name as the repository can hold it; empty where nothing of it can be."""
    stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("._-")


def check_file_order(path: Path, order: Order) -> None:
    """Raise AddError where there is no such file, or the order gives it weights."""
    if not path.exists():
        raise AddError(f"there is no file {path}")
    if order.weights != PUBLISHED_WEIGHTS:
        raise AddError(f"--weights is for well-known networks; {path} has its own")
    if not order.name and not default_name(path):
        raise AddError(f"{path} gives no name for the repository; --name does")


def read_candidate(path: Path, order: Order) -> Candidate:
    """Load the file and settle how it is served.

    Raises:
        AddError: it is not supported, or is no image classifier.
        ValueError, TypeError, OSError: it is damaged, or cannot be read.
    """
    report = inspected(path)
    loaded = _load(path, report, order)
    try:
        model, size = with_image_input(loaded, order.size, order.color)
        model, outputs = with_scores(model, None if order.labels is None else len(read_labels(order.labels)))
    except AddError as error:
        raise AddError(f"{path}: {error}") from error
    _check_batches(path, loaded, model)
    evidence = _evidence(path, report, loaded, model, guess=order.preprocess is None)
    mode = guess_mode(order.preprocess, evidence)
    color = guess_color(order.color, mode.value, evidence)
    preprocessing = preprocessing_of(mode.value, cast(Any, color.value))
    values = np.concatenate([model.predict(x, verbose=0) for x in _trial_images(evidence, preprocessing)])
    model, activation, output = settle_activation(model, ending(model.outputs[0]), values)
    labels, named = find_labels(order.labels, model.outputs[0].shape[1], evidence)
    steps: list[Decision] = []
    if labels == DIGITS and named.flag:
        steps.append(Decision("step", DIGIT_STEP, "brings pictures of digits into the form of MNIST", named.flag))
    crop = order.crop is not False
    fit = Decision(
        "aspect ratio",
        "the centre is cut out" if crop else "images are stretched",
        "usual" if order.crop is None else "as asked",
        "--no-crop" if order.crop is None else "",
    )
    return Candidate(
        model=model,
        origin=f"{path.name}, {report.format}, preprocessing: {mode.value}",
        preprocessing=preprocessing,
        labels=labels,
        fit="crop" if crop else "stretch",
        activation=activation,
        steps=tuple(step.value for step in steps),
        decisions=(size, color, mode, fit, *outputs, output, named, *steps),
    )


def inspected(path: Path) -> ModelReport:
    """What the inspection says of a file that is supported.

    Raises:
        AddError: it is not. ValueError, OSError: it cannot be read.
    """
    from engine.inspection import inspect_file

    report = inspect_file(path)
    if report.supported:
        return report
    problems = list(report.problems[:_LISTED])
    if len(report.problems) > _LISTED:
        problems.append(f"and {len(report.problems) - _LISTED} more (beagle models inspect {path})")
    raise AddError(f"{path} is not supported: {'; '.join(problems)}")


def _load(path: Path, report: ModelReport, order: Order) -> Any:
    import engine

    if "weights" in report.format.lower():
        raise AddError(f"{path} holds weights without a network: name a well-known one, and this file by --weights")
    if not report.format.startswith("ONNX"):
        return engine.models.load_model(path, compile=False)
    from importlib import import_module

    read_model = import_module("engine.onnx").read_model
    shape = report.inputs[0].shape if report.inputs else ()
    if len(shape) != 4 or (shape[3] in (1, 3) and shape[1] not in (1, 3)):
        return read_model(path)  # no image, or channels last already
    width, height = order.size or (DEFAULT_SIDE, DEFAULT_SIDE)
    free = None in shape[2:]
    return read_model(path, channels_last=True, input_sizes=(shape[2] or height, shape[3] or width) if free else None)


def _check_batches(path: Path, loaded: Any, model: Any) -> None:
    """Raise AddError where the file is for batches of one size, and mixes their images."""
    if not loaded.inputs or loaded.inputs[0].shape[0] is None:
        return
    height, width, channels = model.inputs[0].shape[1:]
    images = extreme_images(width, height, channels).astype(np.float32)
    together = model.predict(images, verbose=0)
    apart = np.concatenate([model.predict(image[None], verbose=0) for image in images])
    if together.shape != apart.shape or not np.allclose(together, apart, rtol=1e-3, atol=1e-4, equal_nan=True):
        raise AddError(f"{path}: it is made for batches of {loaded.inputs[0].shape[0]} alone; export it for any batch")


def _trial_images(evidence: Evidence, preprocessing: Preprocessing) -> Iterator[NDArray[np.float32]]:
    for make in (probe_images, extreme_images):
        yield prepared(make(*evidence.size, evidence.channels), preprocessing)


def _evidence(path: Path, report: ModelReport, loaded: Any, model: Any, *, guess: bool) -> Evidence:
    height, width, channels = model.inputs[0].shape[1:]
    size = (width, height)
    own = tuple(loaded.inputs[0].shape) if loaded.inputs else ()
    fitting = fitting_mode(loaded, size, channels) if guess and len(own) == 4 and own[3] == channels else None
    return gather_evidence(path, report, loaded, size=size, channels=channels, fitting=fitting)
