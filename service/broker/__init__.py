"""The queue between web and worker processes, on Redis: the only package that touches it.

`WebBroker` submits jobs and waits for their answers, `WorkerBroker` claims batches and answers them. Every step is one
Lua script on one `Partition`, and may be repeated without harm; `keys` has the map of what lies in Redis.
"""

from .batches import Batch, ClaimedJob, Finished
from .exceptions import (
    BrokerError,
    BrokerUnavailable,
    Cancelled,
    DeadlineExceeded,
    QueueFull,
    UnsuitableServer,
)
from .keys import PRIORITIES
from .load import BrokerStatus, QueueLimits
from .partitions import Partition, connect
from .waiting import Waiting
from .web import WebBroker
from .worker import WorkerBroker, worker_name

__all__ = [
    "PRIORITIES",
    "Batch",
    "BrokerError",
    "BrokerStatus",
    "BrokerUnavailable",
    "Cancelled",
    "ClaimedJob",
    "DeadlineExceeded",
    "Finished",
    "Partition",
    "QueueFull",
    "QueueLimits",
    "UnsuitableServer",
    "Waiting",
    "WebBroker",
    "WorkerBroker",
    "connect",
    "worker_name",
]
