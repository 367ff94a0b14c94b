"""Summaries: a model's layers as a table."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from typing import Any

from engine.variable import Variable

_UNITS = ("B", "KB", "MB", "GB", "TB")


def print_summary(
    model: Any,
    line_length: int | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
) -> None:
    """Prints a table of a model's layers with output shapes and numbers of parameters, and their sums.

    Args:
        line_length: default: the terminal's width, between 80 and 88 (108 with connections).
        print_fn: given the whole text; default: print it, in colours where output is a terminal.
        expand_nested: whether layers of inner models are listed.
        show_trainable: whether to say which layers are trained.
        layer_range: (first, last) names or patterns: only the layers between them.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    branched = hasattr(model, "operations") and not _is_chain(model)
    table = Table(box=box.HEAVY_HEAD, show_lines=True, header_style="bold", expand=True)
    table.add_column("Layer (type)", overflow="fold", ratio=40 if not branched else 28)
    table.add_column("Output Shape", overflow="fold", ratio=30 if not branched else 25)
    table.add_column("Param #", justify="right", overflow="fold", ratio=18 if not branched else 16)
    if branched:
        table.add_column("Connected to", overflow="fold", ratio=25)
    if show_trainable:
        table.add_column("Trainable", justify="center", ratio=12)
    for depth, layer in _rows(model, expand_nested, layer_range):
        cells = [
            f"{'    ' * depth}{layer.name} ({type(layer).__name__})",
            _output_shape(layer),
            _parameters(layer),
        ]
        if branched:
            cells.append(_connections(model, layer) if depth == 0 else "")
        if show_trainable:
            cells.append(
                "Y"
                if getattr(layer, "trainable", True) and getattr(layer, "weights", [])
                else "N"
                if getattr(layer, "weights", [])
                else "-"
            )
        table.add_row(*(Text(cell) for cell in cells))
    width = line_length or min(max(shutil.get_terminal_size().columns, 80), 108 if branched else 88)
    plain = print_fn is not None or not sys.stdout.isatty()
    sink = None if print_fn is None else io.StringIO()
    console = Console(width=width, file=sink, color_system=None if plain else "auto", highlight=False)
    with console.capture() as captured:
        console.print(Text(f'Model: "{model.name}"', style="bold"))
        console.print(table)
        for line in _totals(model):
            console.print(Text(line))
    text = captured.get()
    if print_fn is not None:
        print_fn(text)
    else:
        sys.stdout.write(text)
        sys.stdout.flush()


def _is_chain(model: Any) -> bool:
    """Whether every operation is called once, on the result of the one before."""
    return (
        all(len([node for node in model._network.nodes if node.operation is item]) <= 1 for item in model.operations)
        and all(len(node.input_tensors) <= 1 for node in model._network.nodes)
        and len(model.inputs) == 1
        and all(
            sum(any(parent is node for parent in other.parent_nodes) for other in model._network.nodes) <= 1
            for node in model._network.nodes
        )
    )


def _rows(model: Any, expand: bool, layer_range: Any, depth: int = 0) -> list[tuple[int, Any]]:
    items = list(getattr(model, "operations", None) or model.layers)
    if layer_range is not None:
        items = _between(items, layer_range)
    rows: list[tuple[int, Any]] = []
    for item in items:
        rows.append((depth, item))
        if expand and getattr(item, "layers", None):
            rows += _rows(item, expand, None, depth + 1)
    return rows


def _between(items: list[Any], layer_range: Any) -> list[Any]:
    import re

    if len(layer_range) != 2:
        raise ValueError(f"layer_range must be (first, last). Received: {layer_range!r}")
    ends = []
    for pattern in layer_range:
        found = [index for index, item in enumerate(items) if re.match(pattern, item.name)]
        if not found:
            raise ValueError(f"layer_range: no layer is named like {pattern!r}.")
        ends.append(found)
    return items[ends[0][0] : ends[1][-1] + 1]


def _output_shape(layer: Any) -> str:
    shapes = []
    for node in getattr(layer, "inbound_nodes", ()):
        shapes += [str(tuple(tensor.shape)) for tensor in node.output_tensors]
    if not shapes and getattr(layer, "built", False) and hasattr(layer, "outputs"):
        shapes = [str(tuple(tensor.shape)) for tensor in layer.outputs]
    return ", ".join(dict.fromkeys(shapes)) or "?"


def _parameters(layer: Any) -> str:
    if not hasattr(layer, "weights"):
        return "0"
    count = sum(variable.size for variable in layer.weights)
    return f"{count:,}" if layer.built or count else "0 (unbuilt)"


def _connections(model: Any, layer: Any) -> str:
    positions = model._network.positions()
    parts = []
    for node in layer.inbound_nodes:
        if id(node) not in positions:
            continue
        for tensor in node.input_tensors:
            operation, index, number = tensor.history
            position = positions.get(id(operation.inbound_nodes[index]), 0)
            parts.append(f"{operation.name}[{position}][{number}]")
    return ", ".join(parts) or "-"


def _totals(model: Any) -> list[str]:
    trained = model.trainable_variables
    known = {id(variable) for variable in trained}
    others = [variable for variable in model.weights if id(variable) not in known]
    built = model.optimizer is not None and getattr(model.optimizer, "built", False)
    optimizer = list(model.optimizer.variables) if built else []
    lines = [
        f" Total params: {_amount(trained + others + optimizer)}",
        f" Trainable params: {_amount(trained)}",
        f" Non-trainable params: {_amount(others)}",
    ]
    if optimizer:
        lines.append(f" Optimizer params: {_amount(optimizer)}")
    return lines


def _amount(variables: list[Variable]) -> str:
    size: float = sum(variable.size * variable.dtype.itemsize for variable in variables)
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{sum(variable.size for variable in variables):,} ({size:.2f} {_UNITS[unit]})"
