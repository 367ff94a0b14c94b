"""The precision of a session: what was asked for, and what is in use."""

from __future__ import annotations

import logging
import os
from typing import Any

from engine.graph.constants import Constants
from engine.graph.graph import Graph
from engine.graph.passes import Lower
from engine.graph.passes.bfloat16 import lower_to_bfloat16
from engine.graph.passes.lowering import is_fast
from engine.inference.calibration import Calibration, calibrate
from engine.tensor import CaptureError

logger = logging.getLogger("engine")

PRECISIONS = ("float32", "bfloat16", "int8")


class Precision:
    """Lowers the graphs of a model to the precision that was asked for, as far as there are fast kernels.

    Args:
        model: a model, trained.
        wanted: one of `PRECISIONS`.
        calibration: for "int8": a `Calibration`, the path of its file, or arrays like the model's input.

    Attributes:
        name: the precision in use, as far as is known before the first graph is lowered.
        calibration: for "int8" the calibration in use.

    Raises:
        ValueError: unknown precision; "int8" without a calibration, or with that of other weights.
    """

    def __init__(self, model: Any, wanted: str, calibration: Any = None) -> None:
        if wanted not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}. Received: {wanted!r}")
        if wanted != "int8" and calibration is not None:
            raise ValueError(f"calibration is for precision='int8'; precision is {wanted!r}.")
        if wanted == "int8" and calibration is None:
            raise ValueError(
                "precision='int8' needs calibration: arrays like the model's input, a Calibration made by "
                "engine.inference.calibrate(model, arrays), or the path of its file."
            )
        self.model = model
        self.wanted = wanted
        self.name = wanted
        self.calibration: Calibration | None = None
        self._lower: Lower | None = None
        self._is_used = False  # in any graph so far
        given = self._given(calibration)
        if wanted != "float32" and not is_fast(wanted):
            self._give_up("the CPU has no fast instructions for it")
        elif wanted == "bfloat16":
            self._lower = lower_to_bfloat16
        elif wanted == "int8":
            self._calibrate(given, calibration)

    @property
    def lower(self) -> Lower | None:
        """The pass that rewrites a fused graph; None: it stays in float32."""
        return None if self._lower is None else self._lower_some

    def _lower_some(self, graph: Graph, constants: Constants) -> None:
        assert self._lower is not None
        count = self._lower(graph, constants)
        self._is_used = self._is_used or count > 0
        if not self._is_used:
            self._give_up("no kernel takes any of its layers")

    def follow_weights(self) -> None:
        """To be called when the weights have changed: a calibration of others is not used any more."""
        if self.calibration is not None and not self.calibration.belongs_to(self.model):
            self._give_up("its weights are no longer those that it was calibrated with")

    def _given(self, calibration: Any) -> Calibration | None:
        """A calibration that was made before; None for arrays."""
        if isinstance(calibration, (str, os.PathLike)):
            known, origin = Calibration.load(calibration), f"the file {os.fspath(calibration)}"
        elif isinstance(calibration, Calibration):
            known, origin = calibration, "the one given"
        else:
            return None
        if not known.belongs_to(self.model):
            raise ValueError(
                f"Expected a calibration of the weights that model {self.model.name!r} has. Received: {origin}, made "
                "with other weights. Calibrate again: engine.inference.calibrate(model, arrays).save(path)"
            )
        return known

    def _calibrate(self, known: Calibration | None, arrays: Any) -> None:
        try:
            self.calibration = calibrate(self.model, arrays) if known is None else known
        except CaptureError as error:
            self._give_up(str(error))
        else:
            self._lower = self.calibration.lowering()

    def _give_up(self, reason: str) -> None:
        if self.name != "float32":
            logger.warning("Model %r runs in float32, not in %s: %s.", self.model.name, self.wanted, reason.rstrip("."))
        self.name = "float32"
        self._lower = None
