"""LitServe with one of the tasks: it decodes the upload in its workers, as its verbs have it."""

# No deferred annotations: LitServe reads the type of `request` to know that it is the form that is wanted.

import argparse
from typing import Any

import litserve
import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers import tasks


class Api(litserve.LitAPI):
    """The verbs of LitServe, each with the least that it can do."""

    task: tasks.Task

    def __init__(self, name: str, model: str, threads: int, spinning: bool, **settings: Any) -> None:
        super().__init__(**settings)
        self._made_of = (name, model, threads, spinning)

    def setup(self, device: str) -> None:
        """Load the model, in each worker process."""
        self.task = tasks.make(*self._made_of)

    def decode_request(self, request: litserve.Request) -> NDArray[np.uint8]:
        """From the form's file to the model's input."""
        return self.task.decode(request["image"].file.read())

    def predict(self, x: Any) -> Any:
        """A batch gets a list; where there are no batches, an image gets its predictions."""
        return self.task.predict(x) if self.max_batch_size > 1 else self.task.predict(x[None])[0]

    def unbatch(self, output: Any) -> Any:
        """The list already has one entry an image."""
        return output

    def encode_response(self, output: Any) -> dict[str, Any]:
        """The answer that Beagle gives."""
        return tasks.answer(output)


def main() -> None:
    """Serve on loopback until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--task", choices=tasks.NAMES, required=True)
    parser.add_argument("--model", default="", help="the ONNX file of resnet50")
    parser.add_argument("--threads", type=int, default=0, help="of ONNX Runtime in each worker; 0: all processors")
    parser.add_argument("--no-spinning", action="store_true", help="of its idle threads")
    parser.add_argument("--max-batch-size", type=int, default=32)
    parser.add_argument("--batch-timeout", type=float, default=0.0)
    parser.add_argument("--workers-per-device", type=int, default=1)
    parser.add_argument("--num-api-servers", type=int, default=1)
    parser.add_argument("--api-server-worker-type", choices=("process", "thread"), default="process")
    parser.add_argument("--fast-queue", action="store_true")
    options = parser.parse_args()
    api = Api(
        options.task,
        options.model,
        options.threads,
        not options.no_spinning,
        max_batch_size=options.max_batch_size,
        batch_timeout=options.batch_timeout,
        api_path="/predict",
    )
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
