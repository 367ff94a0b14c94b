"""The inference session: the plans of one model for several batch sizes."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from engine import tree
from engine.graph.capture import capture
from engine.graph.memory import Arena
from engine.graph.plan import Packed, Plan
from engine.inference.splitting import Splitter
from engine.primitives.primitive import Array, Spec
from engine.tensor import CaptureError, Tensor
from engine.variable import Variable

logger = logging.getLogger("engine")

_WARM_UP_RUNS = 3
_SHAPES_KEPT = 8

_Rows = tuple[tuple[tuple[int, ...], str], ...]
"""Shape and dtype of one row of each input."""


class _Built:
    """The plans for one shape and dtype of rows."""

    def __init__(self, plans: dict[int, Plan], structure: Any, splitter: Splitter) -> None:
        self.plans = plans
        self.structure = structure
        self.splitter = splitter


class InferenceSession:
    """Runs a model on any number of rows, through plans that allocate nothing but the answer.

    Args:
        model: a model, trained: when its weights change, the next run builds all plans anew.
        batch_sizes: the sizes to build plans for. Rows are split over them by what was measured fastest.
        precision: "float32".
        calibration: for "int8": arrays like the model's input.

    Safe to call from several threads, one at a time inside. Inputs of the model's declared shape are planned and
    measured at once; free spatial or time dimensions are planned as they come, the least recently used dropped.

    Raises:
        ValueError: unknown precision, no or non-positive batch sizes.
    """

    def __init__(
        self,
        model: Any,
        batch_sizes: Sequence[int] = (1, 8),
        precision: str = "float32",
        calibration: Any = None,
    ) -> None:
        if precision != "float32":
            raise ValueError(f"precision must be 'float32'. Received: {precision!r}")
        if calibration is not None:
            raise ValueError("calibration is for precision='int8'; precision is 'float32'.")
        given = batch_sizes if isinstance(batch_sizes, Sequence) else (batch_sizes,)
        fits = all(isinstance(size, Integral) and not isinstance(size, bool) and size > 0 for size in given)
        if not given or not fits:
            raise ValueError(f"batch_sizes must be positive integers. Received: {batch_sizes!r}")
        sizes = sorted({int(size) for size in given})
        self.model = model
        self.batch_sizes = tuple(sizes)
        self.precision = precision
        self._arena = Arena()
        self._packed = Packed()
        self._lock = threading.Lock()
        self._built: OrderedDict[Any, _Built] = OrderedDict()
        self._eager = False
        self._weights: list[Variable] = []
        self._version = 0
        declared = self._declared_rows()
        if declared is not None:
            self._build(declared, self._nest(None, [None] * len(declared)))

    def run(self, x: Any, out: Any = None) -> Any:
        """The model's outputs for `x`.

        Args:
            x: any nest of arrays that `model.predict` takes, with any number of rows (also none).
            out: arrays like the result, filled and returned in its place.

        Returns:
            The model's nest of outputs as fresh arrays, one row for each row of `x`.
        """
        leaves = self._leaves(x)
        rows = self._row_count(leaves)
        specs = self._row_specs(leaves)
        nest = self._nest(x, leaves)
        key = (specs, tree.form(nest))
        with self._lock:
            if self._built and self._weight_version() != self._version:
                self._built.clear()
                self._packed = Packed()
            built = self._built.get(key)
            if built is None and not self._eager:
                built = self._build(specs, nest)
            if built is None:
                return self._run_eagerly(nest, leaves, out)
            self._built.move_to_end(key)
            return self._run_built(built, leaves, rows, out)

    def describe(self) -> list[dict[str, Any]]:
        """The plan of the smallest batch size, a row for each step."""
        if not self._built:
            return []
        plans = next(iter(self._built.values())).plans
        return plans[min(plans)].describe()

    def _leaves(self, x: Any) -> list[Array]:
        """The arrays in the order of the model's inputs; dictionaries match by name."""
        arrange = getattr(self.model, "arranged", None)
        leaves = [np.asarray(leaf) for leaf in tree.flatten(x if arrange is None else arrange(x))]
        for leaf in leaves:
            if leaf.dtype.kind not in "fiub" and leaf.dtype.name != "bfloat16":
                raise ValueError(f"Model {self.model.name!r} takes numbers, received an array of dtype {leaf.dtype}.")
        return leaves

    def _nest(self, x: Any, leaves: list[Any]) -> Any:
        """The nest in which the model is given the leaves: of models without declared inputs, that of `x`."""
        if getattr(self.model, "inputs", None):
            return leaves[0] if len(leaves) == 1 else leaves
        return x

    # Building -------------------------------------------------------------------------------------

    def _declared_rows(self) -> _Rows | None:
        """Shape and dtype of one row of each input, where the model fixes them."""
        inputs = getattr(self.model, "inputs", None)
        if not inputs:
            return None
        rows = []
        for tensor in tree.flatten(inputs):
            shape = tuple(tensor.shape[1:])
            if any(length is None for length in shape):
                return None
            rows.append((shape, str(tensor.dtype)))
        return tuple(rows)

    def _row_specs(self, leaves: list[Array]) -> _Rows:
        inputs = tree.flatten(getattr(self.model, "inputs", None) or [])
        if inputs:
            if len(inputs) != len(leaves):
                raise ValueError(f"Model {self.model.name!r} expects {len(inputs)} inputs, received {len(leaves)}.")
            for tensor, leaf in zip(inputs, leaves, strict=True):
                expected = tuple(tensor.shape)
                fits = len(expected) == leaf.ndim and all(
                    want is None or want == have for want, have in zip(expected[1:], leaf.shape[1:], strict=True)
                )
                if not fits:
                    raise ValueError(
                        f"Model {self.model.name!r}, input {tensor.name!r}: expected shape {expected}, "
                        f"received {leaf.shape}"
                    )
            dtypes = [str(tensor.dtype) for tensor in inputs]
        else:
            dtypes = ["float32" if leaf.dtype.kind == "f" else leaf.dtype.name for leaf in leaves]
        return tuple((leaf.shape[1:], dtype) for leaf, dtype in zip(leaves, dtypes, strict=True))

    def _build(self, rows: _Rows, nest: Any) -> _Built | None:
        plans: dict[int, Plan] = {}
        seconds: dict[int, float] = {}
        structure: Any = None

        def call(*leaves: Any) -> Any:
            return self.model(tree.pack_sequence_as(nest, list(leaves)))

        # Largest first: the arena is made once, and the smaller plans lie in the same bytes.
        for size in reversed(self.batch_sizes):
            specs = [Spec((size, *shape), np.dtype(dtype)) for shape, dtype in rows]
            try:
                graph, structure = capture(call, *specs)
            except CaptureError as error:
                self._eager = True
                logger.warning("The session of model %r runs without a plan: %s", self.model.name, error)
                return None
            plan = Plan(graph, self._arena, self._packed, frozen=True)
            plans[size] = plan
            if len(self.batch_sizes) == 1:
                seconds[size] = 0.0
            else:
                seconds[size] = _measure(plan, [np.zeros(spec.shape, spec.dtype) for spec in specs])
        if not self._built:
            self._weights = list(self.model.variables)
            self._version = self._weight_version()
        built = _Built(plans, structure, Splitter(seconds))
        self._built[rows, tree.form(nest)] = built
        if len(self._built) > _SHAPES_KEPT:
            self._built.popitem(last=False)
        return built

    def _weight_version(self) -> int:
        return sum(variable.version for variable in self._weights)

    # Running --------------------------------------------------------------------------------------

    @staticmethod
    def _row_count(leaves: list[Array]) -> int:
        counts = {leaf.shape[0] if leaf.ndim else None for leaf in leaves}
        if len(counts) != 1 or None in counts:
            raise ValueError(
                f"All inputs need the same number of rows; received shapes {', '.join(str(x.shape) for x in leaves)}"
            )
        return counts.pop() or 0

    def _run_built(self, built: _Built, leaves: list[Array], rows: int, out: Any) -> Any:
        runs = built.splitter.split(rows)
        if out is None and len(runs) == 1 and runs[0] == rows:
            results = built.plans[rows].run(leaves)
            return tree.map_structure(lambda index: results[index], built.structure)
        outputs = self._allocate(built, rows) if out is None else tree.flatten(out)
        start = 0
        for size in runs:
            stop = min(start + size, rows)
            parts = [leaf[start:stop] for leaf in leaves]
            if stop - start < size:
                parts = [
                    np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), part.dtype)]) for part in parts
                ]
                for target, result in zip(outputs, built.plans[size].run(parts), strict=True):
                    target[start:stop] = result[: stop - start]
            else:
                built.plans[size].run(parts, [target[start:stop] for target in outputs])
            start = stop
        if out is not None:
            return out
        return tree.map_structure(lambda index: outputs[index], built.structure)

    @staticmethod
    def _allocate(built: _Built, rows: int) -> list[Array]:
        plan = next(iter(built.plans.values()))
        return [np.empty((rows, *shape[1:]), dtype) for shape, dtype in plan.output_specs()]

    def _run_eagerly(self, nest: Any, leaves: list[Array], out: Any) -> Any:
        values = [Tensor(leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf) for leaf in leaves]
        results = self.model(tree.pack_sequence_as(nest, values))
        results = tree.map_structure(lambda value: np.array(value.array), results)
        if out is None:
            return results
        for target, result in zip(tree.flatten(out), tree.flatten(results), strict=True):
            np.copyto(target, result)
        return out


def _measure(plan: Plan, inputs: list[Array]) -> float:
    """Seconds of one run, the best of a few: the first ones warm caches and threads up."""
    best = float("inf")
    for _ in range(_WARM_UP_RUNS):
        start = time.perf_counter()
        plan.run(inputs)
        best = min(best, time.perf_counter() - start)
    return best
