"""`python -m tests.benchmarks [NAME [OPTIONS]]`: runs one benchmark, or lists them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

BENCHMARKS = {
    "service": "the service beside LitServe, mosec and the naive design (needs the extra `benchmark` and wrk)",
    "request": "where the time of one request goes, step by step (Linux)",
    "overload": "three times more requests than the service can answer, beside LitServe (needs the extra `benchmark`)",
    "resnet50_service": "the whole service with ResNet50 in three precisions (needs the program wrk)",
    "inference": "ResNet50, MobileNetV2, VGG16 in three precisions, beside other engines (needs the extra `benchmark`)",
    "imported": "networks from ONNX files of PyTorch and Keras beside our own (needs the extra `benchmark`)",
    "training": "training steps of four networks, beside PyTorch and Keras (needs the extra `benchmark`)",
    "startup": "imports, readiness and memory of a worker with ResNet50 (needs the extra `benchmark` for the peers)",
    "accuracy": "bfloat16 and int8 beside float32 (needs the real data of the tests)",
    "failover": "nginx, two web processes and two workers, one of which is killed (needs the program nginx)",
}


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark that is named first; returns the exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        for name, text in BENCHMARKS.items():
            print(f"python -m tests.benchmarks {name:16} {text}")
        return 0
    name, *options = arguments
    if name not in BENCHMARKS:
        print(f"there is no benchmark {name!r}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    importlib.import_module(f"tests.benchmarks.{name}").main(options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
