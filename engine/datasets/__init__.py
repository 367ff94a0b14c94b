"""Data sets to learn and test with (`keras.datasets`)."""

from engine.datasets import mnist

__all__ = ["mnist"]
