"""The inference session: the plans of one model for several batch sizes."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from engine import tree
from engine.graph.constants import Constants
from engine.graph.graph import Graph
from engine.graph.memory import Arena
from engine.graph.plan import Plan
from engine.heap import release_freed_memory
from engine.inference.description import print_description
from engine.inference.inputs import ModelInputs, Rows
from engine.inference.outputs import ModelOutputs
from engine.inference.precision import Precision
from engine.inference.splitting import Splitter
from engine.primitives.primitive import Array
from engine.tensor import CaptureError, Tensor
from engine.variable import Variable, structure_epoch

logger = logging.getLogger("engine")

_BATCH_SIZES = (1, 8)
_WARM_UP_RUNS = 3
_WARM_UP_SECONDS = 0.2  # after which no further run begins
_SHAPES_KEPT = 8


class _Built(NamedTuple):
    """The plans for one shape and dtype of rows."""

    plans: dict[int, Plan]
    outputs: ModelOutputs
    splitter: Splitter


class InferenceSession:
    """Runs a model on any number of rows, through plans that allocate nothing but the answer.

    Args:
        model: a model, trained: when weights that it reads change, or its layers, the next run builds all plans anew.
        batch_sizes: the sizes to build plans for, (1, 8) unless the model fixes one. Rows are split over them by what
            was measured fastest.
        precision: "float32", "bfloat16" or "int8". Where the CPU has no instructions for it, or no layer can use them,
            the session runs in float32 and a log line says so; `session.precision` tells what is in use.
        calibration: for "int8": arrays like the model's input (any nest that `predict` takes), an
            `engine.inference.Calibration`, or the path of the file that it was saved to.

    Safe to call from several threads, one at a time inside. Inputs of the model's declared shape are planned and
    measured at once; free spatial or time dimensions are planned as they come, the least recently used dropped.

    Raises:
        ValueError: unknown precision, no or non-positive batch sizes or others than the model's own, int8 without a
            calibration of these weights.
    """

    def __init__(
        self,
        model: Any,
        batch_sizes: Iterable[int] = _BATCH_SIZES,
        precision: str = "float32",
        calibration: Any = None,
    ) -> None:
        sizes = _checked_sizes(batch_sizes)
        self.model = model
        self._inputs = ModelInputs(model)
        fixed = self._inputs.fixed_batch_size()
        if fixed is not None and sizes != (fixed,):
            if batch_sizes is not _BATCH_SIZES:
                raise ValueError(
                    f"Model {model.name!r} takes batches of {fixed} alone: expected batch_sizes=({fixed},). "
                    f"Received: {batch_sizes!r}"
                )
            sizes = (fixed,)
        self.batch_sizes = sizes
        self._precision = Precision(model, precision, calibration)
        self._arena = Arena()
        self._constants = Constants()
        self._lock = threading.Lock()
        self._built: OrderedDict[Any, _Built] = OrderedDict()
        self._eager = False
        self._watched: dict[int, Variable] = {}  # what the plans took as constants
        self._versions = 0
        self._structure = structure_epoch.count
        self._variables = self._variable_ids()
        declared = self._inputs.declared_rows()
        if declared is not None:
            self._build(declared, self._inputs.nest(None, [None] * len(declared)))

    @property
    def precision(self) -> str:
        """The precision in use."""
        return self._precision.name

    def run(self, x: Any, out: Any = None) -> Any:
        """The model's outputs for `x`.

        Args:
            x: any nest of arrays that `model.predict` takes, with any number of rows (also none).
            out: arrays like the result, filled and returned in its place.

        Returns:
            The model's nest of outputs as fresh arrays, one row for each row of `x`.
        """
        leaves = self._inputs.leaves(x)
        rows = self._inputs.count(leaves)
        specs = self._inputs.rows(leaves)
        nest = self._inputs.nest(x, leaves)
        key = (specs, tree.form(nest))
        with self._lock:
            if self._built and self._has_changed():
                self._built.clear()
                self._watched.clear()
                self._constants = Constants()
                self._precision.follow_weights()
            built = self._built.get(key)
            if built is None and not self._eager:
                built = self._build(specs, nest)
            if built is None:
                return self._run_eagerly(nest, leaves, out)
            self._built.move_to_end(key)
            return self._run_built(built, leaves, rows, out)

    def describe(
        self, profile: bool = False, batch_size: int | None = None, print_fn: Callable[[str], Any] | None = None
    ) -> list[dict[str, Any]]:
        """Prints a plan as a table: node, kernel, implementation, shapes, bytes of the results.

        Args:
            profile: whether to run the plan and add the milliseconds of each step.
            batch_size: which of the built plans, of those for the latest shape of rows; default: the smallest.
            print_fn: given the table's text; default: print it.

        Returns:
            The rows of the table; none before the first run of a model whose input has free dimensions.

        Raises:
            ValueError: there is no plan for `batch_size`.
        """
        size = min(self.batch_sizes) if batch_size is None else batch_size
        if size not in self.batch_sizes:
            raise ValueError(f"batch_size must be one of {list(self.batch_sizes)}. Received: {batch_size!r}")
        with self._lock:
            if not self._built:
                unknown = "has no plan yet: run it once, its input's shape is free"
                why = "runs without a plan" if self._eager else unknown
                (print_fn or print)(f"Model {self.model.name!r} {why}.")
                return []
            latest = next(reversed(self._built.values()))
            rows = latest.plans[size].describe(profile)
        print_description(f"Model {self.model.name!r}, batch size {size}, {self.precision}", rows, print_fn)
        return rows

    # Building -------------------------------------------------------------------------------------

    def _build(self, rows: Rows, nest: Any) -> _Built | None:
        plans: dict[int, Plan] = {}
        seconds: dict[int, float] = {}
        structure: Any = None
        try:
            with self._constants.holding():
                # Largest first: the arena is made once, and the smaller plans lie in the same bytes.
                for size in reversed(self.batch_sizes):
                    graph, structure = self._inputs.capture(nest, rows, size)
                    self._watch(graph)
                    plans[size] = Plan(graph, self._arena, self._constants, frozen=True, lower=self._precision.lower)
        except CaptureError as error:
            self._eager = True
            logger.warning("The session of model %r runs without a plan: %s", self.model.name, error)
            return None
        for size, plan in plans.items():
            zeros = [np.zeros(spec.shape, spec.dtype) for spec in self._inputs.specs(rows, size)]
            seconds[size] = 0.0 if len(plans) == 1 else _measure(plan, zeros)
        outputs = ModelOutputs(structure, plans[self.batch_sizes[0]].output_specs())
        built = _Built(plans, outputs, Splitter(seconds))
        self._built[rows, tree.form(nest)] = built
        if len(self._built) > _SHAPES_KEPT:
            self._built.popitem(last=False)
        release_freed_memory()
        return built

    def _watch(self, graph: Graph) -> None:
        """Remembers the variables that become constants, the model's own or not; those it assigns stay variables."""
        for variable in graph.variables.values():
            if variable not in graph.assignments:
                self._watched[id(variable)] = variable
        self._versions = sum(variable.version for variable in self._watched.values())

    def _has_changed(self) -> bool:
        if sum(variable.version for variable in self._watched.values()) != self._versions:
            return True
        if structure_epoch.count == self._structure:
            return False
        # Something changed its layers, perhaps another model.
        before, self._variables = self._variables, self._variable_ids()
        self._structure = structure_epoch.count
        return before != self._variables

    def _variable_ids(self) -> list[int]:
        return [id(variable) for variable in self.model.variables]

    # Running --------------------------------------------------------------------------------------

    def _run_built(self, built: _Built, leaves: list[Array], rows: int, out: Any) -> Any:
        runs = built.splitter.split(rows)
        if out is None and len(runs) == 1 and runs[0] == rows:
            return built.outputs.nest(built.plans[rows].run(leaves))
        targets = built.outputs.allocate(rows) if out is None else built.outputs.given(out, rows)
        start = 0
        for size in runs:
            stop = min(start + size, rows)
            parts = [leaf[start:stop] for leaf in leaves]
            if stop - start < size:
                parts = [
                    np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), part.dtype)]) for part in parts
                ]
                for target, result in zip(targets, built.plans[size].run(parts), strict=True):
                    np.copyto(target[start:stop], result[: stop - start], casting="same_kind")
            else:
                built.plans[size].run(parts, [target[start:stop] for target in targets])
            start = stop
        return built.outputs.nest(targets) if out is None else out

    def _run_eagerly(self, nest: Any, leaves: list[Array], out: Any) -> Any:
        values = [Tensor(leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf) for leaf in leaves]
        results: list[Array] = []

        def index(value: Any) -> int | None:
            if value is None:
                return None
            results.append(np.array(value.array))
            return len(results) - 1

        structure = tree.map_structure(index, self.model.predicted(tree.pack_sequence_as(nest, values)))
        outputs = ModelOutputs(structure, [(result.shape, result.dtype) for result in results])
        if out is None:
            return outputs.nest(results)
        for target, result in zip(outputs.given(out, len(leaves[0])), results, strict=True):
            np.copyto(target, result, casting="same_kind")
        return out


def _checked_sizes(given: Any) -> tuple[int, ...]:
    """Batch sizes, each once, smallest first."""
    sizes = list(given) if isinstance(given, Iterable) and not isinstance(given, (str, bytes)) else [given]
    fits = all(isinstance(size, Integral) and not isinstance(size, bool) and int(size) > 0 for size in sizes)
    if not sizes or not fits:
        raise ValueError(f"batch_sizes must be positive integers. Received: {given!r}")
    return tuple(sorted({int(size) for size in sizes}))


def _measure(plan: Plan, inputs: list[Array]) -> float:
    """Seconds of one run, the best of a few: the first ones warm caches and threads up."""
    best = float("inf")
    begin = time.perf_counter()
    with plan.without_assignments():
        for _ in range(_WARM_UP_RUNS):
            start = time.perf_counter()
            plan.run(inputs)
            end = time.perf_counter()
            best = min(best, end - start)
            if end - begin > _WARM_UP_SECONDS:  # a long run says enough by itself
                break
    return best
