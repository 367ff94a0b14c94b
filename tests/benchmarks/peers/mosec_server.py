"""mosec with one of the tasks, in one stage or two: decoding in processes of its own before the model's.

mosec reads its own settings (address, port, timeout) from the environment, `MOSEC_…`. Its workers import this module
anew, so that what they are to do comes through the environment as well.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

import mosec
import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.peers import tasks

_TASK, _MODEL, _THREADS, _SPINNING = "PEER_TASK", "PEER_MODEL", "PEER_THREADS", "PEER_SPINNING"


class Decode(mosec.Worker):
    """The first of two stages; a decoded image goes on as it is."""

    def __init__(self) -> None:
        super().__init__()
        self._decode = tasks.DECODERS[os.environ[_TASK]]

    def deserialize(self, data: bytes) -> bytes:
        """The body is the file."""
        return data

    def forward(self, data: bytes) -> NDArray[np.uint8]:
        """From the uploaded file to the model's input."""
        return self._decode(data)


class Classify(mosec.Worker):
    """The second of two stages."""

    def __init__(self) -> None:
        super().__init__()
        threads, spinning = int(os.environ[_THREADS]), os.environ[_SPINNING] == "True"
        self.task = tasks.make(os.environ[_TASK], os.environ[_MODEL], threads, spinning)

    def forward(self, data: Any) -> Any:
        """A batch of decoded images gets a list; where there are no batches, an image gets its predictions."""
        return self.task.predict(np.stack(data)) if self.max_batch_size > 1 else self.task.predict(data[None])[0]

    def serialize(self, data: Any) -> bytes:
        """The answer that Beagle gives."""
        return json.dumps(tasks.answer(data)).encode()


class DecodeAndClassify(Classify):
    """Both in one stage."""

    def deserialize(self, data: bytes) -> Any:
        """From the uploaded file to the model's input."""
        return self.task.decode(data)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=tasks.NAMES, required=True)
    parser.add_argument("--model", default="", help="the ONNX file of resnet50")
    parser.add_argument("--threads", type=int, default=0, help="of ONNX Runtime in each process; 0: all processors")
    parser.add_argument("--no-spinning", action="store_true", help="of its idle threads")
    parser.add_argument("--decoders", type=int, default=0, help="processes of a first stage; 0: one stage")
    parser.add_argument("--processes", type=int, default=1, help="of the stage with the model")
    parser.add_argument("--max-batch-size", type=int, default=32)
    parser.add_argument("--max-wait-time", type=int, default=1, help="for more of a batch, milliseconds")
    options = parser.parse_args()
    os.environ |= {_TASK: options.task, _MODEL: options.model}
    os.environ |= {_THREADS: str(options.threads), _SPINNING: str(not options.no_spinning)}
    server = mosec.Server()
    if options.decoders:
        server.append_worker(Decode, num=options.decoders, route="/predict")
    server.append_worker(
        Classify if options.decoders else DecodeAndClassify,
        num=options.processes,
        max_batch_size=options.max_batch_size,
        max_wait_time=options.max_wait_time,
        route="/predict",
    )
    server.run()


if __name__ == "__main__":
    main()
