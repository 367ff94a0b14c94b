"""Layers that prepare data inside a model: numbers, images, categories."""

from engine.layers.preprocessing.category_encoding import CategoryEncoding
from engine.layers.preprocessing.color import (
    RandomColorDegeneration,
    RandomColorJitter,
    RandomGrayscale,
    RandomHue,
    RandomSaturation,
)
from engine.layers.preprocessing.discretization import Discretization
from engine.layers.preprocessing.filters import RandomErasing, RandomGaussianBlur, RandomSharpness
from engine.layers.preprocessing.geometry import (
    RandomFlip,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
)
from engine.layers.preprocessing.histograms import AutoContrast, Equalization
from engine.layers.preprocessing.lighting import (
    RandomBrightness,
    RandomContrast,
    RandomInvert,
    RandomPosterization,
    Solarization,
)
from engine.layers.preprocessing.lookup import IntegerLookup, StringLookup
from engine.layers.preprocessing.mixing import CutMix, MixUp
from engine.layers.preprocessing.normalization import Normalization
from engine.layers.preprocessing.pipeline import Pipeline
from engine.layers.preprocessing.policies import AugMix, RandAugment
from engine.layers.preprocessing.rescaling import Rescaling
from engine.layers.preprocessing.resizing import CenterCrop, RandomCrop, Resizing
from engine.layers.preprocessing.text_vectorization import TextVectorization

__all__ = [
    "AugMix",
    "AutoContrast",
    "CategoryEncoding",
    "CenterCrop",
    "CutMix",
    "Discretization",
    "Equalization",
    "IntegerLookup",
    "MixUp",
    "Normalization",
    "Pipeline",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "Rescaling",
    "Resizing",
    "Solarization",
    "StringLookup",
    "TextVectorization",
]
