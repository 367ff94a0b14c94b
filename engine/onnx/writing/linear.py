"""Writing matrix products: as Gemm, MatMul, or a convolution with a window of one where channels come second."""

from __future__ import annotations

from engine.dtypes import is_float
from engine.onnx.axes import Order, same
from engine.onnx.writing.computation import Call, Value
from engine.onnx.writing.elementwise import computed_dtype
from engine.onnx.writing.file_graph import FLOAT32
from engine.onnx.writing.form import Form
from engine.onnx.writing.rules import writes
from engine.onnx.writing.writer import Writer
from engine.primitives.linear import matmul
from engine.primitives.primitive import Array

_CONVOLVED = (3, 4, 5)  # ranks that runtimes convolve


@writes(matmul)
def _(writer: Writer, call: Call) -> None:
    a, b, *bias = call.inputs
    turned_a, turned_b = (bool(call.options.get(f"transpose_{side}", False)) for side in "ab")
    if a.array is None and len(a.shape) >= 2 and not turned_a and b.array is not None and len(b.shape) == 2:
        _by_weights(writer, call, a, b, bias, turned_b)
        return
    rank = len(call.outputs[0].shape)
    names = [_oriented(writer, value, turned) for value, turned in ((a, turned_a), (b, turned_b))]
    _give(writer, call, _product(writer, call, names, bias), Form(same(rank)))


def _oriented(writer: Writer, value: Value, turned: bool) -> str:
    rank = len(value.shape)
    order: Order = (*range(rank - 2), rank - 1, rank - 2) if turned else same(rank)
    return writer.cast(writer.take(value, order), value.dtype, computed_dtype(value.dtype))


def _product(writer: Writer, call: Call, names: list[str], bias: list[Value]) -> str:
    name = writer.node("MatMul", *names)
    for value in bias:
        name = writer.node("Add", name, writer.cast(writer.take(value), value.dtype, computed_dtype(value.dtype)))
    return name


def _give(writer: Writer, call: Call, name: str, form: Form) -> None:
    result = call.outputs[0]
    writer.give(result, writer.cast(name, computed_dtype(result.dtype), result.dtype), form)


def _by_weights(writer: Writer, call: Call, a: Value, b: Value, bias: list[Value], turned: bool) -> None:
    """The product with a constant matrix, which can be brought into whatever order the other side lies in."""
    form, rank = writer.form(a), len(a.shape)
    weights = Form((1, 0) if turned else (0, 1))
    order = form.order
    second = rank in _CONVOLVED and order[0] == 0 and order[-1] == 1 and a.dtype.itemsize <= FLOAT32.itemsize
    if form.woven is not None and not turned:
        # The matrix has the rows of an array that was flattened in another order: they are put in that order.
        wanted = Form(order)
        name, matrix = writer.take(a, form), _woven_rows(writer, b, form)
    elif second and is_float(a.dtype):
        _give(writer, call, _pointwise_convolution(writer, a, b, bias, turned), form)
        return
    else:
        wanted = Form(order) if order[-1] == rank - 1 else Form(same(rank))
        name, matrix = writer.take(a, wanted), writer.take(b, weights)
    if rank == 2 and is_float(a.dtype):
        _give(writer, call, writer.node("Gemm", name, matrix, *(writer.take(value) for value in bias)), wanted)
        return
    working = computed_dtype(a.dtype)
    names = [writer.cast(name, a.dtype, working), writer.cast(matrix, b.dtype, working)]
    _give(writer, call, _product(writer, call, names, bias), wanted)


def _woven_rows(writer: Writer, b: Value, form: Form) -> str:
    columns = writer.remade(b, "transposed", lambda array: array.T)  # woven is the last axis
    return writer.take(columns, Form((1, 0), form.woven))


def _pointwise_convolution(writer: Writer, a: Value, b: Value, bias: list[Value], turned: bool) -> str:
    rank = len(a.shape)
    ones = (1,) * (rank - 2)

    def windowed(array: Array) -> Array:
        matrix = array.T if turned else array
        return matrix.reshape(*ones, *matrix.shape)

    kernel = writer.remade(b, ("window", rank, turned), windowed)
    inputs = [writer.take(a, writer.form(a)), writer.take(kernel, (*range(2, rank), 1, 0))]
    return writer.node("Conv", *inputs, *(writer.take(value) for value in bias), kernel_shape=list(ones))
