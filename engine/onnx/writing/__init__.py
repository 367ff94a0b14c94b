"""Writing ONNX files: `write_model` turns any model that can be captured into the operators that runtimes know.

The graph of primitives is written, not layer by layer: models of one's own, custom layers and operations on
placeholders come out as those of Keras do. `rules` is the table of primitives, which the modules of each family fill.
"""

# The families fill the table of rules when they are imported.
from engine.onnx.writing import (
    activations,
    bits,
    convolution,
    elementwise,
    indexing,
    linear,
    normalization,
    recurrent,
    reductions,
    shaping,
)
from engine.onnx.writing.model_file import NEWEST_OPSET, OLDEST_OPSET, model_proto, write_model

__all__ = [
    "NEWEST_OPSET",
    "OLDEST_OPSET",
    "activations",
    "bits",
    "convolution",
    "elementwise",
    "indexing",
    "linear",
    "model_proto",
    "normalization",
    "recurrent",
    "reductions",
    "shaping",
    "write_model",
]
