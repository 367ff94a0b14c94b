"""The one place where an operation happens.

Symbols among the inputs: it is recorded in their graph. Tensors: a prepared kernel or the reference runs. Either way
the tapes that listen remember it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.dtypes import as_dtype, is_float, result_type
from engine.primitives.casting import cast, copy
from engine.primitives.dispatch import device, has_kernel, prepare
from engine.primitives.primitive import Array, Executable, Primitive, Spec
from engine.scopes import current_autocast, current_graph, current_tapes
from engine.tape import Record
from engine.tensor import Borrowed, Symbol, Tensor, Value
from engine.variable import Variable, aligned_empty

_MISSING: Any = object()
_prepared: dict[Any, Executable | None] = {}
_PREPARED_LIMIT = 512


def apply(primitive: Primitive, *inputs: Any, **options: Any) -> Any:
    """Runs or records `primitive`; options must be hashable. Returns one value, or a tuple for several outputs."""
    values = promoted(inputs) if primitive.promote else [as_value(item) for item in inputs]
    graph = current_graph()
    if graph is not None and any(isinstance(value, Symbol) for value in values):
        results: Any = graph.record(primitive, values, options)
    elif any(isinstance(value, Symbol) for value in values):
        raise RuntimeError(f"A symbol of a finished capture was given to {primitive.name!r}.")
    else:
        arrays = _run(primitive, [value.array for value in values], options)
        if primitive.view and isinstance(values[0], Borrowed):
            arrays = (arrays[0].copy(),)  # memory that others write to never leaves by a view
        results = tuple(Tensor(array) for array in arrays)
    count = primitive.outputs
    tapes = current_tapes()
    if tapes:
        record = None
        for tape in tapes:
            if tape.wants(values):
                if record is None:
                    record = Record(primitive, values, results[:count], results[count:], options)
                tape.record(record)
    return results[0] if count == 1 else tuple(results[:count])


def as_value(item: Any, dtype: Any = None) -> Any:
    """A tensor or symbol for an operand: variables are read, arrays and Python numbers become tensors.

    Python floats and lists take the default float type, Python integers int32, arrays keep theirs.
    """
    if isinstance(item, (Tensor, Symbol)):
        return item
    if isinstance(item, Variable):
        value, wanted = item.read(), current_autocast()
        if wanted is None or not item.autocast or value.dtype == wanted or not is_float(value.dtype):
            return value
        return cast(value, dtype=wanted.name)
    if isinstance(item, Value):
        raise TypeError(f"Expected a tensor with values, received {item!r}.")
    kind: type[Tensor] = Tensor
    if isinstance(item, np.ndarray):
        array = item if dtype is None else item.astype(dtype, copy=False)
        kind = Borrowed if array is item else Tensor
    elif isinstance(item, np.generic):
        array = np.asarray(item, dtype)
    else:
        array = np.asarray(item, dtype)
        if dtype is None:
            if array.dtype == np.float64:
                array = array.astype(as_dtype(None))
            elif array.dtype == np.int64:
                array = array.astype(np.int32)
    if array.dtype.kind in "OSUMm":
        raise TypeError(f"Expected numbers, received {type(item).__name__} of dtype {array.dtype}.")
    return kind(array)


def owned(value: Any) -> Any:
    """The value in memory that nobody else writes to."""
    return copy(value) if isinstance(value, Borrowed) else value


def promoted(inputs: tuple[Any, ...]) -> list[Any]:
    """The operands, cast to their common dtype by Keras's table; Python scalars are weak."""
    first = inputs[0]
    if type(first) is Tensor and all(type(item) is Tensor and item.dtype == first.dtype for item in inputs):
        return list(inputs)
    items = [type(item) if type(item) in (bool, int, float) else as_value(item) for item in inputs]
    dtype = result_type(*(item if isinstance(item, type) else item.dtype for item in items))
    values = []
    for item, given in zip(items, inputs, strict=True):
        if isinstance(item, type):
            values.append(Tensor(np.asarray(given, dtype)))
        elif item.dtype == dtype:
            values.append(item)
        else:
            values.append(cast(item, dtype=dtype.name))
    return values


def _run(primitive: Primitive, arrays: list[Array], options: dict[str, Any]) -> tuple[Array, ...]:
    if has_kernel(primitive, arrays):
        key = (
            device(),
            primitive.name,
            tuple((array.shape, array.dtype) for array in arrays),
            tuple(sorted(options.items())),
        )
        executable = _prepared.get(key, _MISSING)
        if executable is _MISSING:
            specs = [Spec(array.shape, array.dtype) for array in arrays]
            executable = prepare(primitive, specs, primitive.infer(specs, options), options)
            if len(_prepared) >= _PREPARED_LIMIT:
                _prepared.pop(next(iter(_prepared)))
            _prepared[key] = executable
        if executable is not None:
            specs = [Spec(array.shape, array.dtype) for array in arrays]
            outputs = tuple(aligned_empty(spec.shape, spec.dtype) for spec in primitive.infer(specs, options))
            scratch = aligned_empty((executable.scratch_bytes,), np.dtype(np.uint8))
            executable.bind([np.ascontiguousarray(array) for array in arrays], outputs, scratch)()
            return outputs
    elif primitive.checked:
        primitive.infer([Spec(array.shape, array.dtype) for array in arrays], options)
    return primitive.evaluate(arrays, options)


Primitive.application = staticmethod(apply)
