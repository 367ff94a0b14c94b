"""The web side of the well-known naive design: push the image, then look every quarter of a second for its answer.

The program starts the other two processes of the design as well: the queue server and `naive_worker`.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import redis
from flask import Flask, request
from PIL import Image

from service import embedded
from tests.benchmarks.networks.shapes import IMAGE_SIDE
from tests.benchmarks.peers import tasks

QUEUE = "image_queue"
SLEEP_S = 0.25


def create_app(redis_url: str) -> Flask:
    """The application, with its Redis server."""
    app = Flask(__name__)
    store = redis.Redis.from_url(redis_url)

    @app.get("/health")
    def health() -> str:
        return "ok"

    @app.post("/predict")
    def predict() -> dict[str, Any]:
        image = Image.open(io.BytesIO(request.files["image"].read())).convert("RGB")
        pixels = np.asarray(image.resize((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BILINEAR))
        key = str(uuid.uuid4())
        encoded = base64.b64encode(tasks.normalise(pixels).tobytes()).decode()
        store.rpush(QUEUE, json.dumps({"id": key, "image": encoded}))
        while True:
            output = store.get(key)
            if output is not None:
                store.delete(key)
                return tasks.answer(json.loads(output))
            time.sleep(SLEEP_S)

    return app


def main() -> None:
    """Serve on loopback with Flask's own server; all processes end with the process group."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True, help="the .keras file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="n-") as name:
        folder = Path(name)
        url = embedded.server_url(folder)
        worker = [sys.executable, "-m", "tests.benchmarks.peers.naive_worker"]
        started = [
            subprocess.Popen(embedded.server_command(embedded.find_binary("embedded"), folder)),
            subprocess.Popen([*worker, "--redis-url", url, "--model", options.model]),
        ]
        try:
            create_app(url).run(port=options.port)
        finally:
            for process in started:
                process.kill()


if __name__ == "__main__":
    main()
