"""What goes around an ImageNet model: pixels as it was trained on them, and classes by name."""

from __future__ import annotations

import functools
import json
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from engine import ops
from engine.applications.published import CLASS_INDEX, fetch
from engine.dtypes import floatx, is_float
from engine.ops.windows import standard_data_format

# By channel in the order in which the mode wants them: the mean is taken away, then the deviation divided by.
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
_TORCH_MEAN_RGB = (0.485, 0.456, 0.406)
_TORCH_DEVIATION_RGB = (0.229, 0.224, 0.225)
_MODES = ("caffe", "tf", "torch")


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """RGB pixels from 0 to 255 as a network expects them (`keras.applications.imagenet_utils.preprocess_input`).

    Args:
        x: one image or a batch: an array, which stays as it is, a tensor or a placeholder. Integers become floats.
        data_format: "channels_last" or "channels_first"; default: the global one.
        mode: "caffe": BGR with ImageNet's mean taken away; "tf": from -1 to 1; "torch": from 0 to 1, then ImageNet's
            mean taken away and its deviation divided by, by channel.

    Returns:
        An array for an array, else a tensor, of the same shape.

    Raises:
        ValueError: another mode or data format.
    """
    if mode not in _MODES:
        raise ValueError(f"`mode` must be 'caffe', 'tf' or 'torch'. Received: mode={mode!r}")
    axis = -1 if standard_data_format(data_format) == "channels_last" else -3
    library: Any = np if isinstance(x, np.ndarray) else ops
    if not is_float(x.dtype):
        x = x.astype(floatx()) if library is np else ops.cast(x, floatx())

    def by_channel(values: tuple[float, ...]) -> np.ndarray[Any, Any]:
        return np.array(values, dtype=x.dtype).reshape((-1,) + (1,) * (-axis - 1))

    if mode == "tf":
        return x / 127.5 - 1.0
    if mode == "torch":
        return (x / 255.0 - by_channel(_TORCH_MEAN_RGB)) / by_channel(_TORCH_DEVIATION_RGB)
    return library.flip(x, axis) - by_channel(_CAFFE_MEAN_BGR)


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """The likeliest ImageNet classes of each row, best first (`keras.applications.imagenet_utils.decode_predictions`).

    Args:
        preds: an array or tensor of shape (rows, 1000).
        top: how many of each row.

    Returns:
        By row: (WordNet id, name, score).

    Raises:
        ValueError: another shape, or `top` below 1.
        ConnectionError: the list of classes is not in the cache and cannot be fetched.
    """
    if not isinstance(top, Integral) or isinstance(top, bool) or top < 1:
        raise ValueError(f"`top` must be a whole number from 1. Received: top={top!r}")
    shape = tuple(np.shape(preds))
    if len(shape) != 2 or shape[1] != 1000:
        raise ValueError(f"`preds` must have the shape (rows, 1000). Received: shape {shape}")
    all_scores = np.asarray(preds)
    names = class_index()
    rows = []
    for scores in all_scores:
        best = np.argsort(scores)[::-1][:top]
        rows.append([(*names[number], scores[number]) for number in best])
    return rows


@functools.cache
def class_index() -> tuple[tuple[str, str], ...]:
    """(WordNet id, name) of each of ImageNet's 1000 classes, by number.

    Raises:
        ConnectionError: the list is not in the cache and cannot be fetched.
    """
    classes = json.loads(Path(fetch(CLASS_INDEX)).read_text(encoding="utf-8"))
    return tuple((classes[str(number)][0], classes[str(number)][1]) for number in range(len(classes)))


__all__ = ["decode_predictions", "preprocess_input"]
