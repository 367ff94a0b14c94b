"""The worker of the well-known naive design: read the head of the list, compute, cut it off, sleep."""

from __future__ import annotations

import argparse
import base64
import json
import time
from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray

from tests.benchmarks.networks.shapes import IMAGE_SIDE
from tests.benchmarks.peers import tasks
from tests.benchmarks.peers.naive_web import QUEUE, SLEEP_S

BATCH = 32
SHAPE = (IMAGE_SIDE, IMAGE_SIDE, 3)


def decode(entry: dict[str, Any]) -> NDArray[np.float32]:
    """The image of an entry, as the web side normalised it."""
    return np.frombuffer(base64.b64decode(entry["image"]), np.float32).reshape(SHAPE)


def work(store: redis.Redis, model: Any) -> None:
    """Classify what comes, for ever."""
    while True:
        entries = [json.loads(entry) for entry in store.lrange(QUEUE, 0, BATCH - 1)]
        if entries:
            probabilities = model.predict(np.stack([decode(entry) for entry in entries]), verbose=0)
            for entry, predictions in zip(entries, tasks.best(probabilities), strict=True):
                store.set(entry["id"], json.dumps(predictions))
            store.ltrim(QUEUE, len(entries), -1)
        time.sleep(SLEEP_S)


def main() -> None:
    """Classify with Keras until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis-url", required=True)
    parser.add_argument("--model", required=True, help="the .keras file")
    options = parser.parse_args()
    import keras  # here, so that --help does without

    work(redis.Redis.from_url(options.redis_url), keras.saving.load_model(options.model))


if __name__ == "__main__":
    main()
