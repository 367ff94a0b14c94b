"""The engine's well-known networks as served models: by name, with the preprocessing that each was trained with."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

_DIGITS = 6  # significant ones of the numbers in serving.toml


class UnknownArchitectureError(ValueError):
    """No network has that name; the message lists those there are."""


@dataclass(frozen=True)
class Preprocessing:
    """What the worker does with pixels from 0 to 255, as serving.toml says it: (x - mean) / std.

    Attributes:
        color: Order of the channels that the network expects.
        mean, std: One number, or one per channel in that order, or none (0 and 1).
    """

    color: Literal["rgb", "bgr", "grey"]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Architecture:
    """One network.

    Attributes:
        name: In lower case, such as `resnet50`.
        build: Makes the model; arguments as in `keras.applications`.
        preprocessing: Of its images.
    """

    name: str
    build: Callable[..., Any]
    preprocessing: Preprocessing


def architecture_names() -> tuple[str, ...]:
    """The names of all networks, sorted."""
    from engine import applications

    return tuple(sorted(map(str.lower, applications.__all__)))


def find_architecture(name: str) -> Architecture:
    """A network by its name; upper case, `-` and `_` make no difference (`MobileNet_V2`).

    Raises:
        UnknownArchitectureError: there is none.
    """
    from engine import applications

    wanted = name.lower().replace("_", "").replace("-", "")
    for known in applications.__all__:
        if known.lower() == wanted:
            build = getattr(applications, known)
            module = importlib.import_module(build.__module__)
            return Architecture(wanted, build, read_preprocessing(module.preprocess_input))
    raise UnknownArchitectureError(f"expected one of {', '.join(architecture_names())}, got {name!r}")


def read_preprocessing(preprocess: Callable[[Any], Any]) -> Preprocessing:
    """Find the numbers behind a function that scales and shifts each channel, and may turn their order around.

    Args:
        preprocess: From RGB pixels float [1, 1, 1, 3] to the same shape.

    Raises:
        ValueError: it does something else.
    """

    def of(red: float, green: float, blue: float) -> Any:
        return np.asarray(preprocess(np.array([[[[red, green, blue]]]], np.float64)))[0, 0, 0]

    offset = of(0.0, 0.0, 0.0)
    # Row i: what 255 of colour i adds to each channel of the result.
    effects = np.array([of(255.0, 0.0, 0.0), of(0.0, 255.0, 0.0), of(0.0, 0.0, 255.0)]) - offset
    color: Literal["rgb", "bgr"] = "rgb" if effects[0, 0] else "bgr"
    gains = effects.sum(axis=0) / 255.0
    expected = np.diag(gains) * 255.0
    if not np.all(gains > 0) or not np.allclose(effects if color == "rgb" else effects[::-1], expected):
        raise ValueError(f"{preprocess!r} is no scale and shift of each channel")
    return Preprocessing(color, _shortest(-offset / gains, neutral=0.0), _shortest(1.0 / gains, neutral=1.0))


def _shortest(values: Any, neutral: float) -> tuple[float, ...]:
    """One number where all are equal, none where it changes nothing."""
    rounded = [float(f"{value:.{_DIGITS}g}") + 0.0 for value in values]
    if len(set(rounded)) > 1:
        return tuple(rounded)
    return () if rounded[0] == neutral else (rounded[0],)
