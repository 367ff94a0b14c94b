"""ONNX Runtime on the CPU, all graph optimisations, the batch size fixed as the file is loaded."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from engine.threads import available_processors
from tests.benchmarks.contestants.answering import Prepared, answer


class Session(Prepared):
    """A session for one batch size."""

    def __init__(self, model: str, images: str) -> None:
        super().__init__()
        batch = np.ascontiguousarray(np.load(images).transpose(0, 3, 1, 2))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = available_processors()
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Threads that go on spinning after a run would disturb the contestant whose turn is next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.add_free_dimension_override_by_name("batch", len(batch))
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._inputs = {self._session.get_inputs()[0].name: batch}

    def run(self) -> Any:
        return self._session.run(None, self._inputs)[0]


if __name__ == "__main__":
    answer(Session)
