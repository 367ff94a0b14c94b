"""The sizes of the networks, for those who build them in Keras's language and in PyTorch's."""

from __future__ import annotations

IMAGE_SIDE = 224
PIXEL_MEAN, PIXEL_DEVIATION = 128.0, 48.0
"""What pixels are normalised by where the networks get photographs: the weights expect mean 0 and deviation 1."""
RESNET50_TOP_K = 3
"""So many of the best classes are told apart by all engines and precisions; of random weights, the next are as good."""

TRAINING_SIDE = 64
TRAINING_CLASSES = 10

RESNET50_STACKS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
"""Filters of the inner convolutions, blocks, and stride of the first block."""

MOBILENET_V2_BLOCKS = (
    (1, 16, 1),
    *((6, 24, 2), (6, 24, 1)),
    *((6, 32, 2), (6, 32, 1), (6, 32, 1)),
    *((6, 64, 2), (6, 64, 1), (6, 64, 1), (6, 64, 1)),
    *((6, 96, 1), (6, 96, 1), (6, 96, 1)),
    *((6, 160, 2), (6, 160, 1), (6, 160, 1)),
    (6, 320, 1),
)
"""Expansion, filters and stride of each block."""

VGG16_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Filters and convolutions of each block."""

MNIST_SIDE = 28
MNIST_CLASSES = 10

CHARACTERS = 60
EMBEDDING = 64
UNITS = 128
STEPS = 40
"""The recurrent network: its alphabet, and the length of its sequences."""
