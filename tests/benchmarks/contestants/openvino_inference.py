"""OpenVINO on the CPU, reading the ONNX files; shapes fixed, tuned for the time of one request."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino

from engine.threads import available_processors
from tests.benchmarks.contestants.answering import Prepared, UnavailableError, answer


class Session(Prepared):
    """A compiled model for one batch size; `precision` is what float32 nodes may be computed in."""

    def __init__(self, model: str, images: str, precision: str) -> None:
        super().__init__()
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UnavailableError("this processor has no instructions for bfloat16")
        self._images = np.ascontiguousarray(np.load(images).transpose(0, 3, 1, 2))
        graph = core.read_model(model)
        graph.reshape(self._images.shape)
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": available_processors(),
            "NUM_STREAMS": 1,
        }
        self._request = core.compile_model(graph, "CPU", settings).create_infer_request()

    def run(self) -> Any:
        # The input need not be copied; the outputs must, since the next run overwrites them.
        results = self._request.infer([self._images], share_inputs=True, share_outputs=False)
        return results[0]


if __name__ == "__main__":
    answer(Session)
