"""The model repository: the folder `<name>/<version>/serving.toml` that says which models are served and how."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from service.errors import ServiceError

DESCRIPTION_FILE = "serving.toml"
FALLBACK_DEFAULT_MODEL = "digits"
CHANNELS = {"grey": 1, "rgb": 3, "bgr": 3}
RESIZE_METHODS = ("nearest", "bilinear", "bicubic", "lanczos")
FITS = ("stretch", "crop", "pad")
ACTIVATIONS = ("none", "softmax")
PRECISIONS = ("float32", "bfloat16", "int8")
CALIBRATION_FILE = "model.calibration.json"
MAX_SIDE = 8192

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VERSION = re.compile(r"[1-9][0-9]*")


class RepositoryError(ValueError):
    """The repository, or one serving.toml in it, is wrong; the message names file, key, expectation, value."""


@dataclass(frozen=True)
class ServedModel:
    """One version of one model, as its serving.toml describes it.

    Attributes:
        name: Folder name of the model.
        version: Folder name of the version, a positive whole number as text.
        folder: The version's folder.
        model_path: The model file; whether it can be read shows when a worker loads it.
        width, height: Input size in pixels.
        color: Order of the channels: `grey` (1), `rgb` or `bgr` (3).
        steps: Names of steps that run on an image before it is resized.
        resize: Resampling method. fit: `stretch` ignores the aspect ratio, `crop` covers and cuts the
            centre out, `pad` contains and fills with black.
        scale, mean, std: The worker computes (x * scale - mean) / std on float32; mean and std hold one
            number, or one per channel, or none (0 and 1).
        labels: One per class, in the order of the model's output.
        top_k: How many predictions are answered unless the request says.
        activation: `softmax` where the model gives logits.
        precision: In which the model computes: `float32`, `bfloat16` or `int8`.
        calibration_path: For `int8`: the file with the ranges of the model's values.
        max_batch: Most images of one batch.
        deadline_s: Deadline of a request in seconds, unless it asks for less.
        compute_limit_s: A batch that computes longer counts as hung.
    """

    name: str
    version: str
    folder: Path
    model_path: Path
    width: int
    height: int
    labels: tuple[str, ...]
    color: Literal["grey", "rgb", "bgr"] = "rgb"
    steps: tuple[str, ...] = ()
    resize: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    top_k: int = 5
    activation: Literal["none", "softmax"] = "none"
    precision: Literal["float32", "bfloat16", "int8"] = "float32"
    calibration_path: Path | None = None
    max_batch: int = 32
    deadline_s: float = 30.0
    compute_limit_s: float = 10.0

    @property
    def channels(self) -> int:
        """Channels of the input: 1 or 3."""
        return CHANNELS[self.color]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one input: (height, width, channels)."""
        return (self.height, self.width, self.channels)

    @functools.cached_property
    def payload_head(self) -> bytes:
        """The payload JSON up to the image's base64; the same for every request."""
        return b'{"shape":[%d,%d,%d],"dtype":"uint8","image":"' % self.shape


class _Table:
    """One table of a serving.toml; takes keys out with checks, and at the end refuses those left over."""

    def __init__(self, path: Path, name: str, values: object) -> None:
        self.path = path
        self.name = name
        if not isinstance(values, dict):
            raise RepositoryError(f"{path}: [{name}] must be a table, got {values!r}")
        self.values = dict(values)

    def fail(self, key: str, expected: str, value: object) -> RepositoryError:
        place = f"{self.name}.{key}" if self.name else key
        got = "nothing" if value is None else repr(value)
        return RepositoryError(f"{self.path}: {place}: expected {expected}, got {got}")

    def text(self, key: str, default: str | None = None) -> str:
        value = self.values.pop(key, default)
        if not isinstance(value, str) or not value:
            raise self.fail(key, "text", value)
        return value

    def choice(self, key: str, default: str, choices: Sequence[str]) -> Any:
        value = self.values.pop(key, default)
        if value not in choices:
            raise self.fail(key, "one of " + ", ".join(choices), value)
        return value

    def whole(self, key: str, default: int | None, at_most: int) -> int:
        value = self.values.pop(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= at_most:
            raise self.fail(key, f"a whole number, 1 to {at_most}", value)
        return value

    def number(self, key: str, default: float) -> float:
        value = self.values.pop(key, default)
        if not _is_number(value) or value <= 0:
            raise self.fail(key, "a number above 0", value)
        return float(value)

    def numbers(self, key: str, channels: int, *, zero: bool) -> tuple[float, ...]:
        value = self.values.pop(key, [])
        numbers = value if isinstance(value, list) else [value]
        if not all(map(_is_number, numbers)) or len(numbers) not in {0, 1, channels}:
            raise self.fail(key, f"1 or {channels} numbers", value)
        if not zero and 0 in numbers:
            raise self.fail(key, "numbers other than 0", value)
        return tuple(map(float, numbers))

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.values.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.fail(key, "a list of texts", value)
        return tuple(value)

    def done(self) -> None:
        if self.values:
            place = f"[{self.name}]" if self.name else "the file"
            raise RepositoryError(f"{self.path}: unknown in {place}: {', '.join(sorted(self.values))}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _file_beside(path: Path, table: _Table, key: str, default: str | None = None) -> Path:
    name = table.text(key, default)
    if Path(name).name != name:
        raise table.fail(key, "the name of a file in the same folder", name)
    return path.parent / name


def _read_labels(path: Path, table: _Table) -> tuple[str, ...]:
    if "labels_file" not in table.values:
        labels = table.texts("labels")
    elif "labels" in table.values:
        raise RepositoryError(f"{path}: output: give labels or labels_file, not both")
    else:
        labels_path = _file_beside(path, table, "labels_file")
        try:
            labels = tuple(labels_path.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise RepositoryError(f"{path}: output.labels_file: cannot read {labels_path.name}: {error}") from error
    if not labels or not all(label.strip() for label in labels):
        raise RepositoryError(f"{path}: output.labels: expected one label or more, none empty, got {len(labels)}")
    return labels


def read_served_model(path: Path, *, name: str, version: str) -> ServedModel:
    """Read one serving.toml.

    Args:
        path: The file. name, version: what its folders are called.

    Raises:
        RepositoryError: the file is missing, is no TOML, or a key is unknown, missing or has a wrong value.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RepositoryError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RepositoryError(f"{path}: is no TOML: {error}") from error
    names = ("input", "preprocessing", "inference", "output", "batching")
    input_, preprocessing, inference, output, batching = (_Table(path, key, tables.pop(key, {})) for key in names)
    top = _Table(path, "", tables)
    color = input_.choice("color", "rgb", tuple(CHANNELS))
    labels = _read_labels(path, output)
    precision = inference.choice("precision", "float32", PRECISIONS)
    model = ServedModel(
        name=name,
        version=version,
        folder=path.parent,
        model_path=_file_beside(path, top, "model", "model.keras"),
        width=input_.whole("width", None, MAX_SIDE),
        height=input_.whole("height", None, MAX_SIDE),
        color=color,
        steps=input_.texts("steps"),
        resize=input_.choice("resize", "bilinear", RESIZE_METHODS),
        fit=input_.choice("fit", "stretch", FITS),
        scale=preprocessing.number("scale", 1.0),
        mean=preprocessing.numbers("mean", CHANNELS[color], zero=True),
        std=preprocessing.numbers("std", CHANNELS[color], zero=False),
        labels=labels,
        top_k=output.whole("top_k", min(5, len(labels)), len(labels)),
        activation=output.choice("activation", "none", ACTIVATIONS),
        precision=precision,
        calibration_path=(
            _file_beside(path, inference, "calibration", CALIBRATION_FILE) if precision == "int8" else None
        ),
        max_batch=batching.whole("max_batch", 32, 1024),
        deadline_s=batching.number("deadline_s", 30.0),
        compute_limit_s=batching.number("compute_limit_s", 10.0),
    )
    for table in (top, input_, preprocessing, inference, output, batching):
        table.done()
    return model


def is_model_place(name: str, version: str) -> bool:
    """Whether a model's and a version's folder may be called so."""
    return bool(_NAME.fullmatch(name) and _VERSION.fullmatch(version))


class ModelRepository:
    """The served models of a folder, read once; iterating gives every `ServedModel`, by name and version.

    Args:
        path: The folder.
        models: What to serve, each `NAME` (all its versions) or `NAME/VERSION`; empty serves all.
        default_model: Model of requests that name none; empty takes the only one, else `digits`.

    Raises:
        RepositoryError: the folder is missing or holds no model, a serving.toml is wrong, or a model named
            in `models` or `default_model` is not there.
    """

    def __init__(self, path: str | Path, *, models: Sequence[str] = (), default_model: str = "") -> None:
        self.path = Path(path)
        self._versions = self._read(models)
        if default_model and default_model not in self._versions:
            raise RepositoryError(
                f"{self.path}: the default model {default_model!r} is not among {', '.join(self._versions)}"
            )
        only = next(iter(self._versions)) if len(self._versions) == 1 else None
        fallback = FALLBACK_DEFAULT_MODEL if FALLBACK_DEFAULT_MODEL in self._versions else None
        self.default_name: str | None = default_model or only or fallback

    def _read(self, models: Sequence[str]) -> dict[str, dict[str, ServedModel]]:
        if not self.path.is_dir():
            raise RepositoryError(f"{self.path}: expected a folder of models, found none")
        wanted = {tuple(model.partition("/")[::2]) for model in models}
        found: dict[str, dict[str, ServedModel]] = {}
        for folder in sorted(self.path.iterdir()):
            if not folder.is_dir() or not _NAME.fullmatch(folder.name):
                continue
            versions = [entry for entry in folder.iterdir() if entry.is_dir() and _VERSION.fullmatch(entry.name)]
            for version in sorted(versions, key=lambda entry: int(entry.name)):
                if wanted and not wanted & {(folder.name, ""), (folder.name, version.name)}:
                    continue
                model = read_served_model(version / DESCRIPTION_FILE, name=folder.name, version=version.name)
                found.setdefault(folder.name, {})[version.name] = model
        for name, number in sorted(wanted):
            if name not in found or (number and number not in found[name]):
                raise RepositoryError(f"{self.path}: there is no model {name + '/' + number if number else name}")
        if not found:
            raise RepositoryError(f"{self.path}: expected <name>/<version>/{DESCRIPTION_FILE}, found none")
        return found

    def __iter__(self) -> Iterator[ServedModel]:
        return (model for versions in self._versions.values() for model in versions.values())

    def __len__(self) -> int:
        return sum(map(len, self._versions.values()))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models, sorted."""
        return tuple(self._versions)

    def versions(self, name: str) -> tuple[ServedModel, ...]:
        """Return a model's versions, oldest first.

        Raises:
            ServiceError: model_not_found.
        """
        try:
            return tuple(self._versions[name].values())
        except KeyError:
            raise ServiceError(
                "model_not_found", f"no model is named {name!r}; there are {', '.join(self._versions)}"
            ) from None

    def get(self, name: str | None = None, version: str | None = None) -> ServedModel:
        """Return a model: the default one without `name`, its highest version without `version`.

        Raises:
            ServiceError: model_not_found.
        """
        name = name or self.default_name
        if name is None:
            raise ServiceError("model_not_found", f"no default model is set; name one of {', '.join(self._versions)}")
        versions = self.versions(name)
        if version is None:
            return versions[-1]
        for model in versions:
            if model.version == version:
                return model
        numbers = ", ".join(model.version for model in versions)
        raise ServiceError("model_not_found", f"model {name!r} has no version {version!r}; it has {numbers}")
