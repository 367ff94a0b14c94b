"""What an inspection tells of a model file: its architecture, its size, and what in it is not supported."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tensor:
    """One input, output or stored weight.

    Attributes:
        name: as the file has it.
        shape: with the batch; None where a length is free.
        dtype: such as "float32"; empty where the file does not say.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True)
class Part:
    """One layer of a Keras file, or one node of an ONNX graph.

    Attributes:
        name: as the file has it; layers of nested models as "outer/inner".
        kind: the class or the operator.
        parameters: how many numbers it owns.
        shape: of its output, where the file tells.
        problem: why it is not supported; None where it is.
    """

    name: str
    kind: str
    parameters: int = 0
    shape: tuple[int | None, ...] | None = None
    problem: str | None = None


@dataclass(frozen=True)
class ModelReport:
    """A model file as it describes itself.

    Attributes:
        path: of the file.
        format: such as "Keras archive", "Keras weights", "Keras HDF5" or "ONNX".
        written_by: the program and version that the file names; empty where it names none.
        size_bytes: of the file, with those that belong to it.
        inputs: of the model.
        outputs: of the model.
        parts: its layers or nodes, in their order.
        parameters: how many numbers all parts own together.
        problems: why the model cannot be loaded, those of its parts included; empty where it can.
        notes: what is worth knowing and hinders nothing.
    """

    path: str
    format: str
    written_by: str
    size_bytes: int
    inputs: tuple[Tensor, ...] = field(default=())
    outputs: tuple[Tensor, ...] = field(default=())
    parts: tuple[Part, ...] = field(default=())
    parameters: int = 0
    problems: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())

    @property
    def supported(self) -> bool:
        """Whether nothing is known that would keep the model from being loaded."""
        return not self.problems
