"""The tape: reverse-mode automatic differentiation.

A tape keeps, in order, every operation one of whose inputs depends on something watched. Going through it backwards
and adding up what each gradient rule returns gives gradients. Rules are written in primitives, so that an outer tape
records the backward pass like anything else: gradients of gradients need no further code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from engine.scopes import current_tapes, taping
from engine.tensor import Symbol, Tensor, full_like
from engine.variable import Variable

Operand = Tensor | Symbol


class Differentiable(Protocol):
    """What a tape needs to know of a primitive."""

    name: str
    differentiable: bool
    gradient_rule: Callable[..., Any] | None


class Record(NamedTuple):
    """One operation as it happened."""

    primitive: Differentiable
    inputs: Sequence[Operand]
    outputs: Sequence[Operand]
    residuals: Sequence[Operand]
    options: dict[str, Any]


class Tape:
    """Records operations for differentiation, as a context manager.

    Args:
        persistent: gradients may be asked for several times, also inside the block.
        watch_variables: trainable variables are watched as they are read.
    """

    def __init__(self, persistent: bool = False, watch_variables: bool = True) -> None:
        self._persistent = persistent
        self._watch_variables = watch_variables
        self._records: list[Record] = []
        self._tracked: dict[int, Operand] = {}  # the values keep their ids from being used again
        self._reads: dict[int, list[Operand]] = {}  # by variable: the values it was read as
        self._variables: dict[int, Variable] = {}
        self._exit: Any = None
        self._used = False

    def __enter__(self) -> Tape:
        self._exit = taping((*current_tapes(), self))
        self._exit.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._exit.__exit__(*error)

    def forget(self) -> None:
        """Drops all that was recorded and watched."""
        for known in (self._records, self._tracked, self._reads, self._variables):
            known.clear()

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables that were read or are watched, in order."""
        return tuple(self._variables.values())

    def watch(self, value: Any) -> None:
        """Tracks a tensor or a variable, trainable or not."""
        if isinstance(value, Variable):
            self._know(value)
            value.read()
        else:
            self._tracked[id(value)] = value

    def note_read(self, variable: Variable, value: Operand) -> Operand:
        """Called by `Variable.read`: the value under which the variable is known to this tape."""
        if id(variable) in self._reads or (self._watch_variables and variable.trainable):
            reads = self._know(variable)
            for known in reads:
                same = known is value or (
                    isinstance(known, Tensor) and isinstance(value, Tensor) and known.array is value.array
                )
                if same:
                    return known
            reads.append(value)
            self._tracked[id(value)] = value
        return value

    def _know(self, variable: Variable) -> list[Operand]:
        self._variables.setdefault(id(variable), variable)
        return self._reads.setdefault(id(variable), [])

    def wants(self, inputs: Sequence[Operand]) -> bool:
        """Whether an operation on these inputs has to be recorded."""
        tracked = self._tracked
        return any(id(value) in tracked for value in inputs)

    def record(self, record: Record) -> None:
        """Called by `apply` for operations that the tape wants."""
        self._records.append(record)
        for value in (*record.outputs, *record.residuals):
            self._tracked[id(value)] = value

    def gradient(self, target: Any, sources: Sequence[Any], output_gradients: Any = None) -> list[Any]:
        """Gradients of `target` with respect to each source.

        Args:
            target: a value or a list of values; several are added up.
            sources: tensors, symbols or variables.
            output_gradients: what to start from, like `target`; default: ones.

        Returns:
            A list like `sources`, None where the target does not depend on a source, or the source is not watched.
        """
        return self.gradients(target, sources, [output_gradients])[0]

    def gradients(self, target: Any, sources: Sequence[Any], starts: Sequence[Any]) -> list[list[Any]]:
        """What `gradient` returns for each of several `output_gradients`, as a list.

        Raises:
            RuntimeError: gradients were asked for before, and the tape is not persistent.
        """
        if self._used and not self._persistent:
            raise RuntimeError("Tape.gradient was called twice; a tape for several calls needs persistent=True.")
        self._used = True
        others = tuple(tape for tape in current_tapes() if tape is not self or self._persistent)
        with taping(others):
            found = [self._backward(target, sources, start) for start in starts]
        if not self._persistent:
            self._records.clear()
        return found

    def _backward(self, target: Any, sources: Sequence[Any], output_gradients: Any) -> list[Any]:
        targets = list(target) if isinstance(target, (list, tuple)) else [target]
        starts = output_gradients if isinstance(output_gradients, (list, tuple)) else [output_gradients] * len(targets)
        keys = [self._keys(source) for source in sources]
        reached = {key for group in keys for key in group}
        records = list(self._records)
        relevant: list[Record] = []
        for record in records:
            if any(id(value) in reached for value in record.inputs):
                relevant.append(record)
                reached.update(id(value) for value in record.outputs)
        gradients: dict[int, Any] = {}

        def accumulate(value: Operand, gradient: Any) -> None:
            known = gradients.get(id(value))
            gradients[id(value)] = gradient if known is None else known + gradient

        for value, start in zip(targets, starts, strict=True):
            accumulate(value, full_like(value, 1.0) if start is None else start)
        for record in reversed(relevant):
            incoming = [gradients.get(id(value)) for value in record.outputs]
            if all(gradient is None for gradient in incoming):
                continue
            needed = [id(value) in reached for value in record.inputs]
            for value, gradient in zip(record.inputs, self._pull(record, needed, incoming), strict=True):
                if gradient is not None and id(value) in reached:
                    accumulate(value, gradient)
        results: list[Any] = []
        for group in keys:
            found = [gradients[key] for key in group if key in gradients]
            total = found[0] if found else None
            for gradient in found[1:]:
                total = total + gradient
            results.append(total)
        return results

    def _keys(self, source: Any) -> list[int]:
        if isinstance(source, Variable):
            return [id(value) for value in self._reads.get(id(source), ())]
        return [id(source)] if id(source) in self._tracked else []

    @staticmethod
    def _pull(record: Record, needed: list[bool], incoming: list[Any]) -> Sequence[Any]:
        rule = record.primitive.gradient_rule
        if rule is None:
            if record.primitive.differentiable:
                raise TypeError(f"The operation {record.primitive.name!r} has no gradient.")
            return [None] * len(record.inputs)
        if len(incoming) > 1:
            incoming = [
                full_like(output, 0.0) if gradient is None else gradient
                for output, gradient in zip(record.outputs, incoming, strict=True)
            ]
        gradients = rule(needed, incoming, record.outputs, record.inputs, record.residuals, **record.options)
        if not isinstance(gradients, (list, tuple)):
            gradients = (gradients,)
        if len(gradients) != len(record.inputs):
            raise RuntimeError(
                f"The gradient rule of {record.primitive.name!r} returned {len(gradients)} gradients for "
                f"{len(record.inputs)} inputs."
            )
        return gradients
