"""Reading ONNX files: their graph becomes a functional model of channels-last layers, weights and all."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from engine.allowance import variables_limited
from engine.initialization import initialization_deferred
from engine.onnx.file import read_message
from engine.onnx.labels import class_labels

if TYPE_CHECKING:
    from engine.onnx.reading.network import Network

ALLOWANCE_FREE = 64 << 20
"""Bytes of weights that any file may make."""
ALLOWANCE_FACTOR = 8
"""How many times its own bytes, external data included, a file may make beyond that (int8 becomes float32)."""

logger = logging.getLogger("engine")


def read_model(
    filepath: str | os.PathLike[str],
    channels_last: bool = False,
    input_sizes: tuple[int, int] | None = None,
    widen: bool = True,
    frozen: Mapping[str, NDArray[Any]] | None = None,
) -> Any:
    """The functional model in an ONNX file.

    Weights are brought into our layout, and the order of axes is followed through the graph, so that the network
    computes channels-last without transposing on the way. The batch axis is free, also where the file gives it a
    length, unless its graph mixes examples.

    The model's `labels` are the names of the classes (a tuple of str), or None where the file has none.

    Args:
        filepath: the file; external data lie beside it.
        channels_last: images go in as (batch, rows, columns, channels) rather than in the file's order.
        input_sizes: rows and columns of images where the file leaves them free.
        widen: float16 and bfloat16 are read as float32.
        frozen: values that stand in place of inputs of these names.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged or hostile, or holds what is not supported; the message names the node.
        ImportError: the package onnx is not installed.
    """
    path = Path(filepath)
    message = read_message(path)
    try:
        model, unread = translated(message, path.parent, channels_last, input_sizes, widen, frozen or {})
    except ValueError as error:
        error.args = (f"{str(path)!r}: {error}",)
        raise
    except ImportError:
        raise
    except Exception as error:  # rules expect much of their nodes
        raise ValueError(f"{str(path)!r}: its graph cannot be understood: {type(error).__name__}: {error}") from error
    model.labels = class_labels(message) or None
    if unread:
        logger.info("%s: no node reads %s", path, ", ".join(unread))
    return model


def translated(
    message: Any,
    folder: Path | None,
    channels_last: bool,
    input_sizes: tuple[int, int] | None,
    widen: bool,
    frozen: Mapping[str, NDArray[Any]],
    use: Callable[[Network], Any] | None = None,
) -> Any:
    """The model of a ModelProto, and the names of the initializers that no node reads.

    Args:
        use: what is done with the network instead; it is called again where the batch has to be fixed.
    """
    from engine.onnx.reading.builder import FixedBatchError
    from engine.onnx.reading.network import Network

    limit = ALLOWANCE_FREE + ALLOWANCE_FACTOR * _substance(message, folder)
    problem: ValueError | None = None
    for is_batch_free in (True, False):
        network = Network(message, folder, frozen, channels_last, input_sizes, is_batch_free, widen)
        network.builder.left_for_constants += limit - ALLOWANCE_FREE
        try:
            with initialization_deferred(), variables_limited(limit):
                return network.build() if use is None else use(network)
        except ValueError as error:  # the graph may only make sense for the batch that it declares
            if network.builder.declared_batch is None:
                # That the batch cannot be free is no reason why it cannot be fixed.
                raise (error if isinstance(problem, FixedBatchError) else problem or error) from None
            problem = error
    assert problem is not None
    raise problem


def _substance(message: Any, folder: Path | None) -> int:
    """The bytes of a message and of the files beside it that it names."""
    from engine.onnx.file import external_location

    outside = {external_location(tensor, folder) for tensor in message.graph.initializer if tensor.data_location == 1}
    return int(message.ByteSize()) + sum(path.stat().st_size for path in outside)
