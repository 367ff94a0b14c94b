"""The settings with which each server of the service's benchmark takes part, and those that `--search` compares.

The best were found on two cores, for throughput with 32 clients, among settings that form batches: a real model is
much slower without. The first of a peer's is the one that budgets are measured against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.benchmarks.servers import Beagle, LitServe, Mosec, Naive, Server

BEST: Mapping[str, Mapping[str, Sequence[Server]]] = {
    "litserve": {
        "digit": [LitServe(batch_timeout=0.001, fast_queue=True, num_api_servers=2)],
        "photo": [LitServe(batch_timeout=0.001, num_api_servers=2, workers_per_device=2)],
        "resnet50": [
            LitServe(max_batch_size=8, fast_queue=True),
            LitServe(max_batch_size=8, fast_queue=True, precision="int8"),
        ],
    },
    "mosec": {"digit": [Mosec()], "photo": [Mosec(decoders=2)], "resnet50": [Mosec(max_batch_size=8)]},
    "naive": {"resnet50": [Naive()]},
}

_LITSERVE_NOOP = (
    LitServe(),
    LitServe(fast_queue=True),
    LitServe(num_api_servers=2),
    LitServe(batch_timeout=0.001),
    LitServe(batch_timeout=0.001, fast_queue=True),
    LitServe(batch_timeout=0.001, fast_queue=True, num_api_servers=2),
    LitServe(batch_timeout=0.001, workers_per_device=2, num_api_servers=2),
    LitServe(batch_timeout=0.001, fast_queue=True, workers_per_device=2),
    LitServe(batch_timeout=0.001, fast_queue=True, workers_per_device=2, num_api_servers=2),
    LitServe(batch_timeout=0.005, fast_queue=True),
    # No batches at all.
    LitServe(max_batch_size=1, fast_queue=True),
    LitServe(max_batch_size=1, fast_queue=True, num_api_servers=2),
    LitServe(max_batch_size=1, fast_queue=True, api_server_worker_type="thread"),
)
_LITSERVE_RESNET50 = (
    LitServe(max_batch_size=8, fast_queue=True),
    LitServe(max_batch_size=8, fast_queue=True, spinning=False),
    LitServe(max_batch_size=8, batch_timeout=0.01, fast_queue=True),
    LitServe(max_batch_size=16, fast_queue=True),
    LitServe(max_batch_size=32, fast_queue=True),
    LitServe(max_batch_size=4, fast_queue=True),
    LitServe(max_batch_size=8, fast_queue=True, workers_per_device=2, threads=1),
    LitServe(max_batch_size=8, fast_queue=True, workers_per_device=2),
    LitServe(max_batch_size=1, fast_queue=True),
    LitServe(max_batch_size=1, fast_queue=True, workers_per_device=2, threads=1),
)
_MOSEC_NOOP = (
    Mosec(),
    Mosec(max_wait_time=10),
    Mosec(processes=2),
    Mosec(decoders=1),
    Mosec(decoders=2),
    Mosec(max_batch_size=8),
    Mosec(max_batch_size=1),
    Mosec(max_batch_size=1, processes=2),
)
_MOSEC_RESNET50 = (
    Mosec(max_batch_size=8),
    Mosec(max_batch_size=8, spinning=False),
    Mosec(max_batch_size=8, max_wait_time=10),
    Mosec(max_batch_size=32),
    Mosec(max_batch_size=8, decoders=1),
    Mosec(max_batch_size=8, decoders=2),
    Mosec(max_batch_size=8, processes=2, threads=1),
    Mosec(max_batch_size=1, processes=2, threads=1),
)
_BEAGLE = (Beagle(), Beagle(web_processes=1), Beagle(workers=2))

SEARCHED: Mapping[str, Mapping[str, Sequence[Server]]] = {
    "litserve": {"digit": _LITSERVE_NOOP, "photo": _LITSERVE_NOOP, "resnet50": _LITSERVE_RESNET50},
    "mosec": {"digit": _MOSEC_NOOP, "photo": _MOSEC_NOOP, "resnet50": _MOSEC_RESNET50},
    "beagle": {"digit": _BEAGLE, "photo": _BEAGLE, "resnet50": _BEAGLE},
}
