"""Inspection of model files: what is in them and whether it is supported, without building anything."""

from engine.inspection.files import inspect_file
from engine.inspection.report import ModelReport, Part, Tensor

__all__ = ["ModelReport", "Part", "Tensor", "inspect_file"]
