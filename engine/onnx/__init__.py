"""ONNX files in and out (`engine.onnx`). The package `onnx` is needed, and imported when a file is read or written.

The way in, `reading`, a word a module:

- `file` parses the message, and holds what each tensor claims against what it brings.
- `network` takes the nodes in the file's order, but for those that no output needs; `control_flow` unrolls loops.
- `patterns` makes one node again of what exporters took apart: GELU, hard swish, layer normalisation.
- `value` knows in which order its axes lie, so that images stay channels-last from their first layer on (`axes`).
- `folding` computes what follows from constants alone; lengths known only when the model runs are `sizes`.
- `operators` is the table of rules, which the modules of the families fill: `convolution`, `pooling`, `reshaping`, …
- A rule adds layers by the `builder`, their weights brought into our layout.
- The batch is free; where the graph mixes examples, all is translated once more with the batch that the file gives.

The way out, `writing`, captures the prediction as a graph of primitives, each of which has a rule that writes nodes.
"""

from engine.onnx.reading import read_model
from engine.onnx.writing import write_model

__all__ = ["read_model", "write_model"]
