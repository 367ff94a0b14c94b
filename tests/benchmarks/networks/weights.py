"""Random weights with statistics like those of trained networks, and inputs that look like images to them.

Run as a program it makes a network with such weights in our engine, and writes it where all contestants find it:
`python -m tests.benchmarks.networks.weights NAME FOLDER`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.networks.keras_networks import TRAINED, application, named_variables, trained
from tests.benchmarks.networks.shapes import IMAGE_SIDE

CALIBRATION_IMAGES = 32
"""On which int8 is calibrated, and moving statistics are measured."""

_SEED = 20
# Training begins with residual branches that add nothing (Goyal et al. 2017), and leaves them smaller than what they
# are added to. Branches as large as that make a random network chaotic: it then magnifies every rounding error.
_BRANCH_ENDS = ("_3_bn", "_project_BN")
_BRANCH_GAMMA = 0.2


def images(count: int, side: int, channels: int, seed: int = _SEED) -> NDArray[np.float32]:
    """Noise at all scales, as photographs have it: float32 [n, side, side, channels], mean 0, deviation 1."""
    rng = np.random.default_rng(seed)
    total = np.zeros((count, side, side, channels), np.float32)
    size = 1
    while size < side:
        cells = -(-side // size)
        noise = rng.normal(size=(count, cells, cells, channels)).astype(np.float32)
        total += np.sqrt(size) * noise.repeat(size, 1).repeat(size, 2)[:, :side, :side]
        size *= 2
    flat = total.reshape(count, -1)
    flat -= flat.mean(1, keepdims=True)
    flat /= flat.std(1, keepdims=True)
    return total


def fill(model: Any, seed: int = _SEED) -> None:
    """Give a model random weights that keep the size of what flows through it, layer after layer."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        kind = type(layer).__name__
        for variable in layer.weights:
            shape = tuple(variable.shape)
            noise = rng.normal(size=shape)
            if variable.name == "kernel":
                fan_in = np.prod(shape[:2]) if kind == "DepthwiseConv2D" else np.prod(shape[:-1])
                gain = 1 if layer.name == "predictions" or kind == "LSTM" else 2  # 2: half is lost in relu
                value = noise * np.sqrt(gain / fan_in)
            elif variable.name == "recurrent_kernel":
                value = noise * np.sqrt(0.5 / shape[0])
            elif variable.name == "gamma":
                value = (_BRANCH_GAMMA if layer.name.endswith(_BRANCH_ENDS) else 1) * (1 + 0.1 * noise)
            elif variable.name == "moving_mean":
                value = np.zeros(shape)
            elif variable.name == "moving_variance":
                value = np.ones(shape)
            else:
                value = 0.05 * noise
            variable.assign(value.astype(np.float32))


def measure_statistics(model: Any, inputs: NDArray[np.float32]) -> None:
    """Set every batch normalisation's moving statistics to those of a batch, in one pass."""
    normalizations = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    before = [layer.momentum for layer in normalizations]
    for layer in normalizations:
        layer.momentum = 0.0
    if normalizations:
        model(inputs, training=True)
    for layer, momentum in zip(normalizations, before, strict=True):
        layer.momentum = momentum


def write_weights(model: Any, file: Path) -> None:
    """Write a model's variables by `layer/variable`, for those who do not read Keras's files."""
    arrays: dict[str, Any] = {name: np.asarray(variable) for name, variable in named_variables(model).items()}
    np.savez(file, **arrays)


def write_application(keras: Any, name: str, folder: Path) -> None:
    """Write `NAME.keras`, `NAME.npz` and the images, `images.npy`."""
    calibration = images(CALIBRATION_IMAGES, IMAGE_SIDE, 3)
    np.save(folder / "images.npy", calibration)
    model = application(keras, name)
    fill(model)
    measure_statistics(model, calibration[:8])
    model.save(str(folder / f"{name}.keras"))
    write_weights(model, folder / f"{name}.npz")


def write_trained(keras: Any, name: str, folder: Path) -> None:
    """Write the weights with which training begins, `NAME.npz`."""
    model = trained(keras, name, dropout=0.0)
    fill(model)
    write_weights(model, folder / f"{name}.npz")


def main(arguments: Sequence[str]) -> None:
    """Write one network."""
    import engine

    name, folder = arguments
    write = write_trained if name in TRAINED else write_application
    write(engine, name, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
