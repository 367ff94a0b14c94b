"""Passes: rewrites of a graph that leave its meaning alone. Each takes a graph and changes it in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.graph.constants import Constants
from engine.graph.graph import Graph
from engine.graph.passes.cleaning import (
    eliminate_common_nodes,
    eliminate_dead_nodes,
    fold_constants,
    freeze_variables,
    strip_trivial_nodes,
)
from engine.graph.passes.fusion import fuse
from engine.graph.passes.normalization import fold_batch_normalization
from engine.graph.passes.padding import fold_padding
from engine.graph.passes.transposes import cancel_transposes

Lower = Callable[[Graph, Constants], Any]


def optimise(graph: Graph, constants: Constants, frozen: bool = False, lower: Lower | None = None) -> None:
    """The passes that every plan goes through, in order.

    Args:
        graph: changed in place.
        constants: where arrays made from constants are kept.
        frozen: variables that are only read become constants.
        lower: rewrites the fused graph to another precision.
    """
    if frozen:
        freeze_variables(graph, constants)
    eliminate_dead_nodes(graph)
    strip_trivial_nodes(graph)
    fold_constants(graph, constants)
    eliminate_common_nodes(graph)
    # Padding right before a convolution is folded first: a transpose before it would sink below the padding only.
    for rewrite in (fold_padding, cancel_transposes, fold_padding):
        rewrite(graph)
        eliminate_dead_nodes(graph)
    fold_batch_normalization(graph, constants)
    eliminate_dead_nodes(graph)
    fuse(graph, with_depthwise=lower is None)  # of two convolutions in one only float32 knows
    if lower is not None:
        lower(graph, constants)
    eliminate_dead_nodes(graph)


__all__ = ["Lower", "optimise"]
