"""FreeLengths: the lengths of axes that are known only when the model runs, followed through what is computed.

Each free length of an input has a witness: a prime that stands in its place while shapes are worked out. A multiple of
it in the shape of a result is that multiple of the free length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.onnx.axes import inverse, ordered
from engine.onnx.reading.value import Value
from engine.onnx.sizes import Length, Shape, Size, UnknownSizeError
from engine.ops.operation import KerasTensor

BATCH = "batch"
"""The free length that every model has."""

# Primes that no network has as a length of its own.
_WITNESSES = (10007, 20011, 30011, 40009, 50021, 60013)


class FreeLengths:
    """The free lengths of one network.

    Attributes:
        sources: of each free length an input that has it, and along which axis.
        with_batch: the inputs with the free batch.
    """

    def __init__(self) -> None:
        self.sources: dict[str, tuple[Any, int]] = {}
        self.with_batch: list[KerasTensor] = []
        self._witnesses: dict[str, int] = {}
        self._shapes: dict[int, tuple[Any, tuple[int, ...]]] = {}  # of placeholders by id, with the witnesses in place

    def declare(self, tensor: KerasTensor, symbols: Sequence[str | None]) -> None:
        """Says what the free lengths of an input are called."""
        for symbol in symbols:
            if symbol is not None and symbol not in self._witnesses:
                if len(self._witnesses) == len(_WITNESSES):
                    raise ValueError(f"the inputs have more than {len(_WITNESSES)} free lengths")
                self._witnesses[symbol] = _WITNESSES[len(self._witnesses)]
        for axis, symbol in enumerate(symbols):
            if symbol is not None:
                self.sources.setdefault(symbol, (tensor, axis))
        if tensor.shape and symbols[0] == BATCH:
            self.with_batch.append(tensor)
        lengths = zip(tensor.shape, symbols, strict=True)
        witness = tuple(self._witnesses[s or ""] if length is None else length for length, s in lengths)
        self._shapes[id(tensor)] = (tensor, witness)

    def shape(self, value: Value) -> Shape:
        """The lengths of a value in the file's order; free ones as sizes.

        Raises:
            UnknownSizeError: one is free and no linear function of an input's.
        """
        static = value.static_shape
        if None not in static:
            return static  # type: ignore[return-value]
        witness = ordered(self._witness(value.tensor), inverse(value.order))
        return tuple(
            self._size(seen, value.name) if length is None else length
            for length, seen in zip(static, witness, strict=True)
        )

    def is_batch_first(self, tensor: Any) -> bool:
        """Whether the first axis of a placeholder is as long as the batch."""
        return tensor.shape[0] is None and self._witness(tensor)[0] == self._witnesses.get(BATCH)

    def batch_axes(self, value: Value) -> list[int]:
        """All axes of the file that are as long as the batch, or a multiple of it."""
        if value.is_constant or None not in value.static_shape or BATCH not in self._witnesses:
            return []
        witness = ordered(self._witness(value.tensor), inverse(value.order))
        lengths = enumerate(zip(value.static_shape, witness, strict=True))
        return [axis for axis, (length, seen) in lengths if length is None and seen % self._witnesses[BATCH] == 0]

    def _size(self, seen: int, name: str) -> Length:
        for symbol, witness in self._witnesses.items():
            if seen % witness == 0:
                return Size(symbol, seen // witness)
        raise UnknownSizeError(f"a length of {name!r} depends on the input's in a way that is not supported")

    def _witness(self, tensor: Any) -> tuple[int, ...]:
        """The shape that a placeholder has when the free lengths are their witnesses."""
        waiting = [tensor]
        while waiting:
            current = waiting[-1]
            if id(current) in self._shapes:
                waiting.pop()
            elif None not in current.shape:
                self._shapes[id(current)] = (current, tuple(current.shape))
            else:
                operation, node_index, _ = current.history
                node = operation.inbound_nodes[node_index]
                missing = [other for other in node.input_tensors if id(other) not in self._shapes]
                if missing:
                    waiting.extend(missing)
                    continue
                stand_ins = {
                    id(other): KerasTensor(self._shapes[id(other)][1], other.dtype) for other in node.input_tensors
                }
                args, kwargs = node.fill_in(stand_ins)
                found = operation.compute_output_spec(*args, **kwargs)
                results = found if isinstance(found, (list, tuple)) else [found]
                for output, result in zip(node.output_tensors, results, strict=True):
                    self._shapes[id(output)] = (output, tuple(result.shape))
        return self._shapes[id(tensor)][1]
