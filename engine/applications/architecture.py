"""From a request and a body to a model: the input, the network, the top or the pooling, the weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from engine import layers
from engine.applications.published import WeightsFile, fetch
from engine.applications.request import Request
from engine.config import image_data_format
from engine.initialization import initialization_deferred
from engine.models import Functional
from engine.ops.operation import KerasTensor, is_keras_tensor

Block = Callable[[Any], Any]
Top = Callable[[Any, Request], Any]


def channel_axis(last: int = -1) -> int:
    """The axis of the channels in the global data format; `last` is its number where they come last."""
    return 1 if image_data_format() == "channels_first" else last


def pooled_classifier(x: Any, request: Request, pool_name: str | None = "avg_pool") -> Any:
    """The usual top: the mean over rows and columns, and a dense layer of classes."""
    x = layers.GlobalAveragePooling2D(name=pool_name)(x)
    return predictions(x, request)


def predictions(x: Any, request: Request) -> Any:
    """The dense layer of classes."""
    return layers.Dense(request.classes, activation=request.classifier_activation, name="predictions")(x)


def build(
    request: Request,
    body: Block,
    name: str,
    files: tuple[WeightsFile, WeightsFile],
    top: Top = pooled_classifier,
    pooling_names: tuple[str | None, str | None] = (None, None),
) -> Any:
    """The model that was asked for.

    Args:
        request: the caller's arguments.
        body: the network without its top, from images to a map of features.
        name: the model's.
        files: what "imagenet" stands for, with and without the top.
        top: makes the class probabilities from the features.
        pooling_names: the names of the layers that `pooling` "avg" and "max" make.

    Raises:
        ValueError: `input_tensor` is no placeholder, or the weights do not fit.
        ConnectionError: the published weights cannot be fetched.
    """
    start = _start(request)
    path = request.weights
    if path == "imagenet":
        path = fetch(files[0] if request.include_top else files[1])
    # Random numbers that a file replaces at once need not be drawn.
    with nullcontext() if path is None else initialization_deferred():
        x = body(start)
        if request.include_top:
            x = top(x, request)
        elif request.pooling == "avg":
            x = layers.GlobalAveragePooling2D(name=pooling_names[0])(x)
        elif request.pooling == "max":
            x = layers.GlobalMaxPooling2D(name=pooling_names[1])(x)
        model = Functional(_sources(start), x, name=name)
        if path is not None:
            model.load_weights(path)
    return model


def _start(request: Request) -> KerasTensor:
    if request.input_tensor is None:
        return layers.Input(shape=request.input_shape)
    if not is_keras_tensor(request.input_tensor):
        raise ValueError(
            "`input_tensor` must be a placeholder, as `Input` and layers called on placeholders return it. "
            f"Received: {request.input_tensor!r}"
        )
    return request.input_tensor


def _sources(tensor: KerasTensor) -> Any:
    """The inputs of the network that leads to a placeholder; a single one by itself."""
    found: dict[int, KerasTensor] = {}
    visited: set[int] = set()
    waiting = [tensor]
    while waiting:
        current = waiting.pop()
        assert current.history is not None
        node = current.history.operation.inbound_nodes[current.history.node_index]
        if node.is_input:
            found.setdefault(id(current), current)
        elif id(node) not in visited:
            visited.add(id(node))
            waiting += reversed(node.input_tensors)
    sources = list(found.values())
    return sources[0] if len(sources) == 1 else sources
