"""Where batches come from: arrays, generators, datasets by number, and other iterables, behind one interface."""

from __future__ import annotations

import itertools
import logging
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from engine import tree
from engine.dtypes import as_dtype, is_float
from engine.tensor import Tensor
from engine.utils.packing import unpack_x_y_sample_weight
from engine.utils.py_dataset import PyDataset, batches
from engine.variable import Variable

logger = logging.getLogger("engine")

Batch = tuple[Any, Any, Any]
"""(x, y, sample_weight), nests of NumPy arrays; y and sample_weight may be None."""
_REAL = (int, float, np.integer, np.floating)


class DataAdapter:
    """Base: gives the batches of one epoch after the other.

    Attributes:
        steps: batches an epoch, None where nobody knows.
        restarts: whether an epoch always begins at the beginning; else one goes on where the last ended.
    """

    steps: int | None = None
    restarts = True

    def epoch(self, key: tuple[int, int]) -> Iterator[Batch]:
        """The batches of an epoch; `key` (seed, step) alone decides their order where they are shuffled."""
        raise NotImplementedError(f"{type(self).__name__} must define `epoch(key)`.")

    def on_epoch_begin(self) -> None:
        """Called before an epoch's batches are asked for."""

    def on_epoch_end(self) -> None:
        """Called after an epoch."""


def permutation(key: tuple[int, int], count: int) -> np.ndarray[Any, Any]:
    """An order of `count` items that is a function of (seed, step)."""
    seed, step = key
    return np.random.Generator(np.random.Philox(key=[seed, step])).permutation(count)


class ArrayAdapter(DataAdapter):
    """Batches cut from arrays along their first axis.

    Args:
        x, y, sample_weight: nests of arrays of one length.
        batch_size: rows a batch; the last may be smaller.
        shuffle: True: rows in another order every epoch; "batch": batches in another order.
        class_weight: see `weighted_by_class`.

    Raises:
        ValueError: lengths differ, or a leaf is no array of numbers.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        shuffle: bool | str = False,
        class_weight: dict[int, float] | None = None,
    ) -> None:
        self.arrays = as_arrays(x, y, sample_weight)
        self.rows = _common_length(self.arrays)
        self.batch_size = 32 if batch_size is None else int(batch_size)
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {batch_size}")
        if self.rows == 0:
            raise ValueError("There is nothing to go through: x has no rows.")
        self.shuffle = shuffle
        self.class_weight = class_weight
        self.steps = -(-self.rows // self.batch_size)

    def epoch(self, key: tuple[int, int]) -> Iterator[Batch]:
        order = permutation(key, self.rows) if self.shuffle is True else None
        numbers: Any = permutation(key, self.steps or 0) if self.shuffle == "batch" else range(self.steps or 0)
        for number in numbers:
            start = int(number) * self.batch_size
            stop = min(start + self.batch_size, self.rows)
            rows: Any = slice(start, stop) if order is None else order[start:stop]
            batch = tree.map_structure(lambda leaf: leaf if leaf is None else _standard(leaf[rows]), self.arrays)  # noqa: B023
            x, y, sample_weight = batch
            yield weighted_by_class(x, y, sample_weight, self.class_weight)


class PyDatasetAdapter(DataAdapter):
    """Batches of a `PyDataset`, or of anything with `__len__` and `__getitem__`, in turn or shuffled."""

    def __init__(self, dataset: Any, shuffle: bool | str = False, class_weight: dict[int, float] | None = None) -> None:
        self.dataset = dataset
        self.shuffle = bool(shuffle)
        self.class_weight = class_weight
        self.steps = dataset.num_batches if isinstance(dataset, PyDataset) else len(dataset)

    def epoch(self, key: tuple[int, int]) -> Iterator[Batch]:
        order: Iterable[int]
        if self.steps is None:
            order = itertools.count()
        elif self.shuffle:
            order = (int(number) for number in permutation(key, self.steps))
        else:
            order = range(self.steps)
        for item in batches(self.dataset, order):
            yield _from_item(item, self.class_weight)

    def on_epoch_begin(self) -> None:
        if hasattr(self.dataset, "on_epoch_begin"):
            self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        if hasattr(self.dataset, "on_epoch_end"):
            self.dataset.on_epoch_end()


class IterableAdapter(DataAdapter):
    """Batches of an iterable that can be gone through again (a loader), or of a generator, which goes on.

    Args:
        source: gives `x`, `(x, y)` or `(x, y, sample_weight)`.
    """

    def __init__(self, source: Any, class_weight: dict[int, float] | None = None) -> None:
        self.source = source
        self.class_weight = class_weight
        self.restarts = not hasattr(source, "__next__")
        if self.restarts and hasattr(source, "__len__"):
            self.steps = len(source)

    def epoch(self, key: tuple[int, int]) -> Iterator[Batch]:
        for item in self.source:
            yield _from_item(item, self.class_weight)


def data_adapter(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    shuffle: bool | str = False,
    class_weight: dict[int, float] | None = None,
) -> DataAdapter:
    """The adapter for what `fit`, `evaluate` or `predict` were given.

    Raises:
        ValueError: y or sample_weight beside a source that gives its own; x of a kind that cannot be used; weights of
            classes that are no such dict.
    """
    check_class_weight(class_weight)
    if x is None:
        raise ValueError("x is needed: arrays, a generator, a PyDataset or another iterable of batches.")
    if is_array_like(x) or tree.is_nested(x):
        return ArrayAdapter(x, y, sample_weight, batch_size, shuffle, class_weight)
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(f"{name} cannot be given beside {type(x).__name__}: its batches hold their own.")
    if (hasattr(x, "__getitem__") and hasattr(x, "__len__")) or isinstance(x, PyDataset):
        return PyDatasetAdapter(x, shuffle, class_weight)
    if hasattr(x, "__iter__"):
        return IterableAdapter(x, class_weight)
    raise ValueError(f"x must be arrays, a generator, a PyDataset or an iterable. Received: {type(x).__name__}")


def is_array_like(item: Any) -> bool:
    """Whether this is one array: NumPy's, ours, or anything that converts (data frames, HDF5 datasets)."""
    return isinstance(item, (np.ndarray, Tensor, Variable)) or (hasattr(item, "__array__") and hasattr(item, "shape"))


def as_arrays(x: Any, y: Any, sample_weight: Any) -> Batch:
    """Nests of NumPy arrays; names what is no array of numbers."""
    converted = []
    for name, structure in (("x", x), ("y", y), ("sample_weight", sample_weight)):
        converted.append(tree.map_structure(lambda leaf: _as_array(leaf, name), structure))  # noqa: B023
    return converted[0], converted[1], converted[2]


def _as_array(leaf: Any, name: str) -> Any:
    if leaf is None:
        return None
    if not is_array_like(leaf) and not np.isscalar(leaf):
        raise ValueError(f"{name} must hold arrays. Received: {type(leaf).__name__}")
    array = leaf.array if isinstance(leaf, (Tensor, Variable)) else np.asarray(leaf)
    if array.dtype.kind in "OSUMm":
        raise ValueError(f"{name} must hold numbers. Received: an array of dtype {array.dtype}")
    if array.ndim == 0:
        raise ValueError(f"{name} must hold arrays with an axis of samples. Received: the scalar {leaf!r}")
    return array


def _common_length(arrays: Batch) -> int:
    lengths = {
        name: [len(leaf) for leaf in tree.flatten(structure) if leaf is not None]
        for name, structure in zip(("x", "y", "sample_weight"), arrays, strict=True)
    }
    found = {length for group in lengths.values() for length in group}
    if len(found) > 1:
        said = "; ".join(f"{name}: {', '.join(map(str, group))}" for name, group in lengths.items() if group)
        raise ValueError(f"All arrays must have the same number of samples (their first axis). Received: {said}")
    return found.pop() if found else 0


def _standard(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Double precision in the default float type; everything else as it is."""
    if array.dtype == np.float64 and is_float(array.dtype):
        return array.astype(as_dtype(None))
    return array


def _from_item(item: Any, class_weight: dict[int, float] | None) -> Batch:
    """A batch that a source gave, as (x, y, sample_weight)."""
    arrays = as_arrays(*unpack_x_y_sample_weight(item))
    standard = tree.map_structure(lambda leaf: leaf if leaf is None else _standard(leaf), arrays)
    x, y, sample_weight = standard
    return weighted_by_class(x, y, sample_weight, class_weight)


def check_class_weight(class_weight: Any) -> None:
    """Raises ValueError where this is neither None nor a dict from class numbers (whole, from 0) to weights."""
    if class_weight is None:
        return
    if isinstance(class_weight, Mapping) and all(
        isinstance(number, _REAL) and number >= 0 and number % 1 == 0 and isinstance(weight, _REAL)
        for number, weight in class_weight.items()
    ):
        return
    raise ValueError(
        "class_weight: expected a dict from class number (integer >= 0) to weight. "
        f"Received: {reprlib.repr(class_weight)}"
    )


def weighted_by_class(x: Any, y: Any, sample_weight: Any, class_weight: dict[int, float] | None) -> Batch:
    """The batch with sample weights multiplied by the weight of each sample's class, 1 where none is given.

    Raises:
        ValueError: the weights are no such dict, y is a nest, or there is none, or it has more than one class a
            sample or a negative one.
    """
    check_class_weight(class_weight)
    if not class_weight:
        return x, y, sample_weight
    if not isinstance(y, np.ndarray):
        raise ValueError("class_weight needs one array of targets: models with one output.")
    several = y.ndim == 2 and y.shape[-1] > 1 and y.dtype.kind in "iub" and not np.all(y.sum(axis=-1) == 1)
    if several or (y.ndim > 2 and y[0].size > y.shape[-1]):
        raise ValueError(f"class_weight needs one class a sample. Received: targets of shape {y.shape}")
    classes = np.argmax(y, axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(len(y), -1)[:, 0]
    numbers = np.rint(classes).astype(np.int64)
    if numbers.min(initial=0) < 0:
        raise ValueError(f"class_weight needs class numbers (integers >= 0) as targets. Received: {numbers.min()}")
    lookup = np.ones(int(max(numbers.max(initial=0), *class_weight)) + 1, as_dtype(None))
    for number, weight in class_weight.items():
        lookup[int(number)] = weight
    weights = lookup[numbers]
    if sample_weight is not None:
        extra = (1,) * (sample_weight.ndim - weights.ndim)
        weights = sample_weight * weights.reshape(*weights.shape, *extra)
    return x, y, weights


def split(arrays: Batch, fraction: float) -> tuple[Batch, Batch]:
    """Training and validation parts: the last `fraction` of the rows, before any shuffling, are for validation.

    Raises:
        ValueError: the fraction does not lie in 0..1, or leaves one part empty.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"validation_split must lie between 0 and 1. Received: {fraction}")
    rows = _common_length(arrays)
    at = int(np.floor(rows * (1.0 - fraction)))
    if at in (0, rows):
        raise ValueError(f"validation_split={fraction} of {rows} rows leaves nothing for one part.")

    def part(rows: slice) -> Batch:
        cut: Callable[[Any], Any] = lambda leaf: leaf if leaf is None else leaf[rows]  # noqa: E731
        return tree.map_structure(cut, arrays)

    return part(slice(0, at)), part(slice(at, rows))


class EpochSource:
    """The batches of one epoch after the other, of a given number where one is given."""

    def __init__(self, adapter: DataAdapter, steps: int | None) -> None:
        self._adapter = adapter
        self._steps = steps
        self._going: Iterator[Batch] | None = None

    def epoch(self, key: tuple[int, int]) -> Iterator[Batch]:
        self._adapter.on_epoch_begin()
        if self._steps is None:
            yield from self._adapter.epoch(key)
        else:
            yield from self._limited(key, self._steps)
        self._adapter.on_epoch_end()

    def _limited(self, key: tuple[int, int], steps: int) -> Iterator[Batch]:
        if self._going is None or self._adapter.restarts:
            self._going = self._adapter.epoch(key)
        given = 0
        while given < steps:
            before = given
            for batch in self._going:
                given += 1
                yield batch
                if given == steps:
                    return
            if not self._adapter.restarts or given == before:
                logger.warning("The source of batches ended after %d of %d steps.", given, steps)
                return
            self._going = self._adapter.epoch((key[0], key[1] + given))  # round again, in another order
