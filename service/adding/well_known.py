"""A well-known network as a candidate: built by name, with published weights or one's own."""

from __future__ import annotations

from pathlib import Path

from service.adding.candidate import Candidate
from service.adding.labels import numbered_labels, read_labels
from service.adding.order import IMAGENET_CLASSES, PUBLISHED_WEIGHTS, RANDOM_WEIGHTS, AddError, Order
from service.architectures import Architecture, find_architecture


def find_network(order: Order) -> Architecture:
    """The network of an order; the order fits it.

    Raises:
        UnknownArchitectureError: no network has that name.
        AddError: its weights are not there, or the order says what a network knows by itself.
    """
    architecture = find_architecture(order.architecture)
    if order.weights not in (PUBLISHED_WEIGHTS, RANDOM_WEIGHTS) and not Path(order.weights).exists():
        raise AddError(
            f"--weights: expected {PUBLISHED_WEIGHTS}, {RANDOM_WEIGHTS} or a weights file, but {order.weights!r} "
            "does not exist"
        )
    for flag, value in (("preprocess", order.preprocess), ("size", order.size), ("color", order.color)):
        if value is not None:
            raise AddError(f"--{flag} is for model files; {architecture.name} comes with its own")
    return architecture


def build_network(architecture: Architecture, order: Order) -> Candidate:
    """Build it and give it its weights.

    Raises:
        AddError, ValueError, OSError: labels or weights cannot be had, or do not fit.
    """
    labels, notes = _labels(order)
    if order.weights == RANDOM_WEIGHTS:
        notes = (*notes, "The weights are random: its answers mean nothing.")
    weights = None if order.weights == RANDOM_WEIGHTS else order.weights
    return Candidate(
        model=architecture.build(weights=weights, classes=len(labels)),
        origin=f"{architecture.name}, weights: {order.weights}",
        preprocessing=architecture.preprocessing,
        labels=labels,
        fit="stretch" if order.crop is False else "crop",
        notes=notes,
    )


def _labels(order: Order) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """One label per class, and notes."""
    try:
        labels = read_labels(order.labels)
    except ConnectionError:
        if order.weights != RANDOM_WEIGHTS:
            raise
        labels = numbered_labels(IMAGENET_CLASSES)
        return labels, (f"ImageNet's labels could not be fetched: they are {labels[0]} to {labels[-1]}.",)
    if order.weights == PUBLISHED_WEIGHTS and len(labels) != IMAGENET_CLASSES:
        raise AddError(
            f"--labels: --weights {PUBLISHED_WEIGHTS} need {IMAGENET_CLASSES} labels, but {order.labels} has "
            f"{len(labels)}"
        )
    return labels, ()
