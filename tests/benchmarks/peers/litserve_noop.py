"""LitServe with the work of Beagle's no-op model: decode the uploaded image, answer five fixed predictions."""

# No deferred annotations: LitServe reads the type of `request` to know that it is the form that is wanted.

import argparse
import io
from typing import Any

import litserve
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.benchmarks.models.noop_worker import LABELS, PROBABILITIES, TOP

_PREDICTIONS = [{"label": label, "probability": PROBABILITIES[LABELS.index(label)]} for label in TOP]


class NoopApi(litserve.LitAPI):
    """The verbs of LitServe, each with the least that it can do."""

    def setup(self, device: str) -> None:
        """Nothing to load."""

    def decode_request(self, request: litserve.Request) -> NDArray[np.uint8]:
        """From the form's file to uint8 [28, 28]."""
        return np.asarray(Image.open(io.BytesIO(request["image"].file.read())).convert("L"))

    def predict(self, x: Any) -> Any:
        """A batch (uint8 [n, 28, 28]) gets a list, a single image its predictions."""
        return _PREDICTIONS if x.ndim == 2 else [_PREDICTIONS] * len(x)

    def unbatch(self, output: Any) -> Any:
        """The list already has one entry an image."""
        return output

    def encode_response(self, output: Any) -> dict[str, Any]:
        """The answer that Beagle gives."""
        return {"success": True, "predictions": output}


def main() -> None:
    """Serve on loopback until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--max-batch-size", type=int, default=32)
    parser.add_argument("--batch-timeout", type=float, default=0.0)
    parser.add_argument("--workers-per-device", type=int, default=1)
    parser.add_argument("--num-api-servers", type=int, default=1)
    parser.add_argument("--api-server-worker-type", choices=("process", "thread"), default="process")
    parser.add_argument("--fast-queue", action="store_true")
    options = parser.parse_args()
    api = NoopApi(max_batch_size=options.max_batch_size, batch_timeout=options.batch_timeout, api_path="/predict")
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=options.workers_per_device,
        fast_queue=options.fast_queue,
    )
    server.run(
        host="127.0.0.1",
        port=options.port,
        num_api_servers=options.num_api_servers,
        api_server_worker_type=options.api_server_worker_type,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
