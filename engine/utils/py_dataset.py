"""PyDataset: batches by number, made by the user's code, ahead of time in threads or processes where asked for."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any


class PyDataset:
    """Base of data sources; subclasses define `__getitem__(index)`, a batch, and `__len__`, their number.

    A batch is `x`, `(x, y)` or `(x, y, sample_weight)`.

    Args:
        workers: how many batches are made at a time; 1: in the thread that trains, when they are needed.
        use_multiprocessing: whether the workers are processes (spawned: the dataset must pickle) and not threads.
        max_queue_size: how many batches may be under way or waiting.
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__(index).")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} defines no __len__().")

    @property
    def num_batches(self) -> int | None:
        """The number of batches; None where it has no end."""
        try:
            return len(self)
        except NotImplementedError:
            return None

    def on_epoch_begin(self) -> None:
        """Called before every epoch."""

    def on_epoch_end(self) -> None:
        """Called after every epoch."""


Sequence = PyDataset

_dataset: Any = None  # in a worker process: its copy


def _receive(dataset: Any) -> None:
    global _dataset
    _dataset = dataset


def _make(index: int) -> Any:
    return _dataset[index]


def batches(dataset: Any, order: Iterable[int]) -> Iterator[Any]:
    """The batches of a dataset in an order of numbers, made ahead by its workers."""
    workers = getattr(dataset, "workers", 1) or 1
    in_processes = getattr(dataset, "use_multiprocessing", False)
    if workers <= 1 and not in_processes:
        for index in order:
            yield dataset[index]
        return
    make: Any = dataset.__getitem__
    pool: Executor
    if in_processes:
        # The dataset as it is now, on_epoch_begin() included, goes to each process once.
        context = multiprocessing.get_context("spawn")
        pool, make = ProcessPoolExecutor(workers, context, _receive, (dataset,)), _make
    else:
        pool = ThreadPoolExecutor(workers, thread_name_prefix="dataset")
    waiting: deque[Future[Any]] = deque()
    numbers = iter(order)
    try:
        for index in numbers:
            waiting.append(pool.submit(make, index))
            if len(waiting) >= max(getattr(dataset, "max_queue_size", 10), workers):
                break
        while waiting:
            batch = waiting.popleft().result()
            following = next(numbers, None)
            if following is not None:
                waiting.append(pool.submit(make, following))
            yield batch
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown(wait=True)
