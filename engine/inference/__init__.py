"""Inference: a trained model made ready to answer."""

from engine.inference.calibration import Calibration, calibrate
from engine.inference.session import InferenceSession

__all__ = ["Calibration", "InferenceSession", "calibrate"]
