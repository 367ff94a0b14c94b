"""Layers of ours that Keras has not: what networks of other formats are made of. Files know them as `beagle.layers`."""

from engine.layers.extensions.constant_operand import ConstantOperand
from engine.layers.extensions.constant_values import ConstantValues
from engine.layers.extensions.depth import DepthToSpace, SpaceToDepth
from engine.layers.extensions.expansion import Expansion
from engine.layers.extensions.fake_quantization import FakeQuantization
from engine.layers.extensions.filled import Filled
from engine.layers.extensions.interpolation import Interpolation
from engine.layers.extensions.local_response_normalization import LocalResponseNormalization
from engine.layers.extensions.pairwise_decisions import PairwiseProbabilities, PairwiseVotes
from engine.layers.extensions.peephole_cell import PeepholeLSTMCell
from engine.layers.extensions.scatter import Scatter
from engine.layers.extensions.sequence_reversal import SequenceReversal
from engine.layers.extensions.support_vectors import SupportVectors
from engine.layers.extensions.tree_ensemble import TreeEnsemble
from engine.layers.extensions.window_pooling import WindowPooling

__all__ = [
    "ConstantOperand",
    "ConstantValues",
    "DepthToSpace",
    "Expansion",
    "FakeQuantization",
    "Filled",
    "Interpolation",
    "LocalResponseNormalization",
    "PairwiseProbabilities",
    "PairwiseVotes",
    "PeepholeLSTMCell",
    "Scatter",
    "SequenceReversal",
    "SpaceToDepth",
    "SupportVectors",
    "TreeEnsemble",
    "WindowPooling",
]
