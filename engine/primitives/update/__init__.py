"""Optimizer steps as single primitives: each reads a variable, its slots and a gradient and gives their next values.

They exist for speed alone. A plan lets every result take the place of its input, and each goes through its arrays in
chunks that stay in the cache, so that a parameter, its slots and its gradient come from memory once.
"""

from engine.primitives.update.accumulation import adadelta_update, adagrad_update, ftrl_update, rmsprop_update
from engine.primitives.update.chunks import CHUNK, chunked_update
from engine.primitives.update.descent import lion_update, momentum_update, sgd_update
from engine.primitives.update.moments import adam_update, adamax_update, amsgrad_update, nadam_update

__all__ = [
    "CHUNK",
    "adadelta_update",
    "adagrad_update",
    "adam_update",
    "adamax_update",
    "amsgrad_update",
    "chunked_update",
    "ftrl_update",
    "lion_update",
    "momentum_update",
    "nadam_update",
    "rmsprop_update",
    "sgd_update",
]
