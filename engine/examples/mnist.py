"""Trains the model that the service ships: handwritten digits, from MNIST alone.

    python -m engine.examples.mnist --data FOLDER --output service/models/digits/1

The folder holds MNIST's four IDX files, or gets them. Images are augmented, since what people draw and photograph
varies more than MNIST does. The archive holds no optimizer state; `serving.toml` beside it tells the service how to use
it.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from engine import Model, Sequential, layers
from engine.callbacks import Callback, LearningRateScheduler
from engine.datasets import mnist
from engine.examples.augmentation import Array, Ranges, augment
from engine.optimizers import Adam
from engine.utils import PyDataset, set_random_seed

SERVING = """\
# Handwritten digits, trained by engine/examples/mnist.py. Test accuracy on MNIST: {accuracy:.2%}.
model = "model.keras"

[input]
width = 28
height = 28
color = "grey"
steps = ["digit"]

[output]
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
top_k = 5

[batching]
max_batch = 32
deadline_s = 30.0
compute_limit_s = 10.0
"""


def build_model(seed: int) -> Sequential:
    """The network: raw grey levels (28, 28, 1) in, ten probabilities out; about 135,000 parameters.

    Pooling comes before normalisation and activation, which then have a quarter of the values to go through.
    """

    def block(filters: int, kernel_size: int = 3, pool: bool = False) -> list[Any]:
        return [
            layers.Conv2D(filters, kernel_size, use_bias=False, kernel_initializer="he_normal"),
            *([layers.MaxPooling2D()] if pool else []),
            layers.BatchNormalization(momentum=0.95),
            layers.ReLU(),
        ]

    return Sequential(
        [
            layers.Input((28, 28, 1), name="image"),
            layers.Rescaling(1 / 255),
            *block(32, kernel_size=5, pool=True),
            *block(64),
            *block(64, pool=True),
            *block(128),
            layers.Flatten(),
            layers.Dropout(0.4, seed=seed),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )


class Augmented(PyDataset):
    """Batches of augmented images: a function of seed, epoch and number, whoever makes them in whatever order.

    Args:
        images: uint8 (n, 28, 28).
        labels: (n,).
        batch_size: of each batch; the rest of an epoch that fills none is left out.
        epochs: how many there will be; the last few are augmented less, so that the model ends close to MNIST.
        seed: of shuffling and augmentation.
    """

    GENTLE_EPOCHS = 2
    UNCHANGED = 0.2  # share of images left as they are

    def __init__(self, images: Array, labels: Array, batch_size: int, epochs: int, seed: int) -> None:
        super().__init__(workers=2)
        self.images, self.labels = images, labels
        self.batch_size, self.epochs, self.seed = batch_size, epochs, seed
        self.epoch = 0
        self._order = self._shuffled()

    def _shuffled(self) -> Array:
        return np.random.default_rng((self.seed, self.epoch)).permutation(len(self.images))

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        generator = np.random.default_rng((self.seed, self.epoch, index))
        images = self.images[chosen].astype(np.float32)
        changed = generator.uniform(size=len(images)) >= self.UNCHANGED
        gentle = self.epoch >= self.epochs - self.GENTLE_EPOCHS
        images[changed] = augment(images[changed], generator, Ranges().scaled(0.4) if gentle else Ranges())
        return images[..., None], self.labels[chosen]

    def on_epoch_end(self) -> None:
        """Goes on to the next epoch's order."""
        self.epoch += 1
        self._order = self._shuffled()


class EpochSeconds(Callback):
    """Notes how long each epoch takes."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.monotonic() - self._start)


def train(
    images: Array, labels: Array, *, epochs: int, batch_size: int, rate: float, seed: int
) -> tuple[Model, list[float]]:
    """A trained model, and the seconds of each epoch.

    The learning rate rises over the first epoch's share of a cosine and falls to a hundredth of `rate`.
    """
    set_random_seed(seed)
    model = build_model(seed)
    model.compile(Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    data = Augmented(images, labels, batch_size, epochs, seed)
    clock = EpochSeconds()

    def schedule(epoch: int, _: float) -> float:
        return rate * (0.01 + 0.99 * (1 + math.cos(math.pi * epoch / epochs)) / 2)

    model.fit(data, epochs=epochs, callbacks=[LearningRateScheduler(schedule), clock])
    return model, clock.seconds


def without_optimizer(model: Model) -> Model:
    """The same model, not compiled: its archive is a third of the size."""
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    return bare


def main(arguments: list[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m engine.examples.mnist", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", default=None, help="folder of MNIST's IDX files (default: the download cache)")
    parser.add_argument("--output", default="service/models/digits/1", help="folder to write (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=14, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=128, help="default: %(default)s")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        (x_train, y_train), (x_test, y_test) = mnist.load_data(options.data)
    except (ConnectionError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    model, seconds = train(
        x_train,
        y_train,
        epochs=options.epochs,
        batch_size=options.batch_size,
        rate=options.learning_rate,
        seed=options.seed,
    )
    probabilities = model.predict(x_test[..., None].astype(np.float32), batch_size=500, verbose=0)
    accuracy = float(np.mean(probabilities.argmax(axis=1) == y_test))
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "model.keras"
    without_optimizer(model).save(archive)
    (folder / "serving.toml").write_text(SERVING.format(accuracy=accuracy))
    print(
        f"{np.median(seconds):.1f} s an epoch, test accuracy {accuracy:.2%} on {len(y_test):,} images, "
        f"{model.count_params():,} parameters, {archive} has {archive.stat().st_size:,} bytes"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
