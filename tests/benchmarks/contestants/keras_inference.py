"""Keras on TensorFlow: `predict_on_batch`, or a compiled call, whichever is faster here."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow

from engine.threads import available_processors
from tests.benchmarks.contestants.answering import Prepared, answer, fastest


class Model(Prepared):
    """A model read from a `.keras` file, and one batch."""

    def __init__(self, model: str, images: str) -> None:
        super().__init__()
        tensorflow.config.threading.set_intra_op_parallelism_threads(available_processors())
        network = keras.models.load_model(model, compile=False)
        batch = np.load(images)
        tensor = tensorflow.constant(batch)
        call = tensorflow.function(lambda x: network(x, training=False))
        compiled_call = tensorflow.function(lambda x: network(x, training=False), jit_compile=True)
        ways = {
            "predict_on_batch": lambda: network.predict_on_batch(batch),
            "a tf.function": lambda: call(tensor).numpy(),
            "a tf.function with XLA": lambda: compiled_call(tensor).numpy(),
        }
        way = fastest(ways)
        self._run = ways[way]
        self.notes.append(f"{way} is fastest")

    def run(self) -> Any:
        return self._run()


if __name__ == "__main__":
    answer(Model)
