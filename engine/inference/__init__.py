"""Inference: a trained model made ready to answer."""

from engine.inference.session import InferenceSession

__all__ = ["InferenceSession"]
