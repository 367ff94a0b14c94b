"""Layers with their options and the shapes of inputs to try them on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """One layer, made with `options` and called on arrays of `shapes` (several: a list of inputs)."""

    layer: str
    options: dict[str, Any]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def name(self) -> str:
        options = "-".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.layer}-{options}-{self.shapes}".replace(" ", "")

    def inputs(self, seed: int = 0) -> Any:
        """Random arrays of the shapes."""
        rng = np.random.default_rng(seed)
        arrays = [rng.normal(size=shape).astype(np.float32) for shape in self.shapes]
        return arrays if len(arrays) > 1 else arrays[0]


def _cases(layer: str, shape: Any, *options: dict[str, Any]) -> list[Case]:
    shapes = shape if isinstance(shape[0], tuple) else (shape,)
    return [Case(layer, option, shapes) for option in options]


FIRST = {"data_format": "channels_first"}

CASES = [
    *_cases("Dense", (3, 5), {"units": 4}, {"units": 4, "use_bias": False, "activation": "relu"}),
    *_cases("Dense", (2, 3, 5), {"units": 4, "activation": "softmax", "kernel_regularizer": "l2"}),
    *_cases("Activation", (3, 5), *({"activation": name} for name in ("tanh", "softmax", "gelu", "swish", "linear"))),
    *_cases("Identity", (3, 5), {}),
    # Convolution
    *_cases(
        "Conv1D",
        (2, 9, 4),
        {"filters": 3, "kernel_size": 3},
        {"filters": 3, "kernel_size": 3, "padding": "same", "strides": 2},
        {"filters": 3, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
        {"filters": 4, "kernel_size": 2, "groups": 2, "use_bias": False},
    ),
    *_cases("Conv1D", (2, 4, 9), {"filters": 3, "kernel_size": 3, **FIRST}),
    *_cases(
        "Conv2D",
        (2, 8, 7, 4),
        {"filters": 5, "kernel_size": 3},
        {"filters": 5, "kernel_size": (3, 2), "strides": (2, 3), "padding": "same"},
        {"filters": 5, "kernel_size": 2, "strides": 3, "padding": "valid", "activation": "relu"},
        {"filters": 5, "kernel_size": 3, "dilation_rate": (2, 1), "padding": "same"},
        {"filters": 6, "kernel_size": 3, "groups": 2, "padding": "same"},
        {"filters": 4, "kernel_size": 1, "groups": 4, "use_bias": False, "strides": 2},
    ),
    *_cases("Conv2D", (2, 4, 8, 7), {"filters": 5, "kernel_size": 3, "padding": "same", "strides": 2, **FIRST}),
    *_cases(
        "Conv3D", (2, 5, 6, 4, 2), {"filters": 3, "kernel_size": 2}, {"filters": 3, "kernel_size": 3, "padding": "same"}
    ),
    *_cases("DepthwiseConv1D", (2, 9, 3), {"kernel_size": 3, "depth_multiplier": 2}),
    *_cases(
        "DepthwiseConv2D",
        (2, 8, 7, 3),
        {"kernel_size": 3},
        {"kernel_size": 3, "depth_multiplier": 2, "strides": 2, "padding": "same", "activation": "relu"},
    ),
    *_cases("SeparableConv1D", (2, 9, 3), {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}),
    *_cases(
        "SeparableConv2D",
        (2, 8, 7, 3),
        {"filters": 4, "kernel_size": 3, "use_bias": False},
        {"filters": 4, "kernel_size": (3, 2), "depth_multiplier": 2, "dilation_rate": 2, "activation": "relu"},
    ),
    *_cases("SeparableConv2D", (2, 3, 8, 7), {"filters": 4, "kernel_size": 3, "padding": "same", **FIRST}),
    *_cases(
        "Conv1DTranspose",
        (2, 6, 4),
        {"filters": 3, "kernel_size": 2, "strides": 3},
        {"filters": 3, "kernel_size": 5, "strides": 3, "padding": "same", "output_padding": 2},
        {"filters": 3, "kernel_size": 4, "dilation_rate": 2, "padding": "same", "use_bias": False},
    ),
    *_cases(
        "Conv2DTranspose",
        (2, 4, 5, 4),
        {"filters": 3, "kernel_size": 3},
        {"filters": 3, "kernel_size": (3, 1), "strides": 2, "padding": "same", "activation": "relu"},
        {"filters": 3, "kernel_size": 4, "strides": (2, 3), "output_padding": (1, 0)},
    ),
    *_cases(
        "Conv2DTranspose", (2, 4, 5, 6), {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", **FIRST}
    ),
    *_cases(
        "Conv3DTranspose", (2, 3, 2, 4, 2), {"filters": 3, "kernel_size": 3, "strides": (2, 1, 2), "padding": "same"}
    ),
    # Pooling
    *_cases("MaxPooling1D", (2, 9, 3), {}, {"pool_size": 3, "strides": 2, "padding": "same"}),
    *_cases("MaxPooling2D", (2, 7, 8, 3), {}, {"pool_size": (3, 2), "strides": 2, "padding": "same"}),
    *_cases("MaxPooling2D", (2, 3, 7, 8), {"pool_size": 2, **FIRST}),
    *_cases("MaxPooling3D", (2, 5, 6, 4, 2), {}),
    *_cases("AveragePooling1D", (2, 9, 3), {"pool_size": 3, "strides": 2, "padding": "same"}),
    *_cases("AveragePooling2D", (2, 7, 8, 3), {"pool_size": 2}, {"pool_size": 3, "strides": 2, "padding": "same"}),
    *_cases("AveragePooling2D", (2, 3, 7, 8), {"pool_size": 2, **FIRST}),
    *_cases("AveragePooling3D", (2, 5, 6, 4, 2), {"pool_size": 2}),
    *_cases("GlobalAveragePooling1D", (2, 5, 3), {}),
    *_cases("GlobalAveragePooling2D", (2, 5, 4, 3), {}, {"keepdims": True}, FIRST),
    *_cases("GlobalAveragePooling3D", (2, 5, 4, 2, 3), {}),
    *_cases("GlobalMaxPooling1D", (2, 5, 3), {"keepdims": True}),
    *_cases("GlobalMaxPooling2D", (2, 5, 4, 3), {}, FIRST),
    *_cases("GlobalMaxPooling3D", (2, 5, 4, 2, 3), {}),
    *_cases("AdaptiveAveragePooling1D", (2, 7, 3), {"output_size": 3}),
    *_cases("AdaptiveAveragePooling2D", (2, 3, 7, 8), {"output_size": (3, 2), **FIRST}),
    *_cases("AdaptiveAveragePooling3D", (2, 4, 5, 3, 2), {"output_size": 2}),
    *_cases("AdaptiveMaxPooling1D", (2, 7, 3), {"output_size": 9}),
    *_cases("AdaptiveMaxPooling2D", (2, 8, 6, 3), {"output_size": (4, 2)}),
    # Normalisation
    *_cases("BatchNormalization", (4, 5, 3), {}, {"axis": 1}, {"center": False, "epsilon": 1e-2}, {"scale": False}),
    *_cases("BatchNormalization", (4, 3), {"momentum": 0.9}),
    *_cases("LayerNormalization", (4, 5, 3), {}, {"axis": [1, 2]}, {"axis": 1, "scale": False}),
    *_cases("LayerNormalization", (4, 5, 3), {"rms_scaling": True}, {"rms_scaling": True, "axis": 1, "scale": False}),
    *_cases("GroupNormalization", (2, 3, 4, 6), {"groups": 3}, {"groups": 2, "axis": 2, "scale": False}),
    *_cases("RMSNormalization", (2, 3, 4), {}, {"axis": [1, 2], "epsilon": 1e-2}),
    *_cases("UnitNormalization", (2, 3, 4), {}, {"axis": [1, 2]}),
    # Regularisation, at rest
    *_cases("Dropout", (3, 5), {"rate": 0.5}, {"rate": 0.5, "noise_shape": (None, 1), "seed": 3}),
    *_cases("SpatialDropout1D", (2, 5, 3), {"rate": 0.5}),
    *_cases("SpatialDropout2D", (2, 5, 4, 3), {"rate": 0.5}),
    *_cases("SpatialDropout3D", (2, 5, 4, 2, 3), {"rate": 0.5}),
    *_cases("AlphaDropout", (3, 5), {"rate": 0.3, "noise_shape": (None, 1), "seed": 3}),
    *_cases("GaussianNoise", (3, 5), {"stddev": 0.5}),
    *_cases("GaussianDropout", (3, 5), {"rate": 0.5}),
    *_cases("ActivityRegularization", (3, 5), {"l1": 0.1, "l2": 0.2}),
    # Reshaping
    *_cases("Flatten", (2, 3, 4, 5), {}, FIRST),
    *_cases("Flatten", (2,), {}),
    *_cases("Reshape", (2, 3, 4), {"target_shape": (6, 2)}, {"target_shape": (-1, 2)}),
    *_cases("Permute", (2, 3, 4, 5), {"dims": (3, 1, 2)}),
    *_cases("RepeatVector", (2, 3), {"n": 4}),
    *_cases("ZeroPadding1D", (2, 5, 3), {}, {"padding": (2, 0)}),
    *_cases("ZeroPadding2D", (2, 5, 4, 3), {"padding": 2}, {"padding": (1, 2)}, {"padding": ((1, 0), (2, 3))}),
    *_cases("ZeroPadding2D", (2, 3, 5, 4), FIRST),
    *_cases("ZeroPadding3D", (2, 3, 5, 4, 2), {}),
    *_cases("Cropping1D", (2, 5, 3), {"cropping": (1, 2)}),
    *_cases("Cropping2D", (2, 5, 6, 3), {"cropping": ((1, 0), (2, 1))}, {"cropping": 1}),
    *_cases("Cropping3D", (2, 5, 6, 4, 3), {}),
    *_cases("UpSampling1D", (2, 5, 3), {"size": 3}),
    *_cases("UpSampling2D", (2, 3, 4, 2), {"size": (2, 3)}),
    *_cases("UpSampling2D", (2, 2, 3, 4), {"size": 2, **FIRST}, {"size": (2, 3), "interpolation": "bilinear", **FIRST}),
    *_cases("UpSampling2D", (2, 3, 4, 2), {"interpolation": "bilinear"}, {"interpolation": "bicubic"}),
    *_cases("UpSampling3D", (2, 3, 2, 4, 2), {"size": (1, 2, 3)}),
    # Merging
    *(
        Case(name, {}, shapes)
        for name in ("Add", "Multiply", "Average", "Maximum", "Minimum")
        for shapes in (((2, 3), (2, 3), (2, 3)), ((2, 3, 4), (2, 4)), ((2, 1, 4), (2, 3, 1)))
    ),
    *_cases("Subtract", ((2, 3), (2, 3)), {}),
    *_cases("Concatenate", ((2, 3, 4), (2, 3, 2)), {}),
    *_cases("Concatenate", ((2, 3, 4), (2, 5, 4)), {"axis": 1}),
    *_cases("Dot", ((2, 3, 4), (2, 5, 4)), {"axes": 2}, {"axes": -1, "normalize": True}),
    *_cases("Dot", ((2, 3), (2, 3)), {"axes": 1}),
    *_cases("Dot", ((2, 3, 4), (2, 4)), {"axes": (2, 1)}),
    *_cases("Dot", ((2, 3, 4, 5), (2, 4, 6)), {"axes": [2, 1]}),
    # Attention
    *_cases("EinsumDense", (3, 5), {"equation": "ab,bc->ac", "output_shape": 4, "bias_axes": "c"}),
    *_cases(
        "EinsumDense",
        (2, 3, 5),
        {"equation": "abc,cde->abde", "output_shape": (None, 2, 4), "bias_axes": "de", "activation": "relu"},
        {"equation": "...x,xy->...y", "output_shape": 4, "bias_axes": "y", "kernel_regularizer": "l2"},
        {"equation": "ab...,bc->ac...", "output_shape": 4, "bias_axes": "c"},
        {"equation": "abc,ce->aeb", "output_shape": (4, None)},
    ),
    *_cases("Attention", ((2, 3, 4), (2, 5, 4)), {}, {"use_scale": True, "score_mode": "concat", "dropout": 0.2}),
    *_cases("Attention", ((2, 3, 4), (2, 5, 6), (2, 5, 4)), {"use_scale": True, "seed": 3}),
    *_cases("AdditiveAttention", ((2, 3, 4), (2, 5, 4)), {}, {"use_scale": False}),
    # Activations
    *_cases("ReLU", (3, 5), {}, {"max_value": 1.0}, {"negative_slope": 0.2, "threshold": 0.5, "max_value": 1.5}),
    *_cases("LeakyReLU", (3, 5), {}, {"negative_slope": 0.1}),
    *_cases("ELU", (3, 5), {"alpha": 0.5}),
    *_cases("Softmax", (3, 4, 5), {}, {"axis": 1}, {"axis": (1, 2)}),
    *_cases("PReLU", (3, 4, 5), {}, {"shared_axes": [1]}),
    # Recurrent
    *_cases("LSTM", (2, 5, 3), {"units": 4}, {"units": 4, "use_bias": False, "activation": "relu"}),
    *_cases("GRU", (2, 5, 3), {"units": 4, "return_sequences": True, "go_backwards": True}),
    *_cases("GRU", (2, 5, 3), {"units": 4, "reset_after": False, "recurrent_regularizer": "l2"}),
    *_cases("SimpleRNN", (2, 5, 3), {"units": 4, "dropout": 0.2, "return_sequences": True}),
    *_cases(
        "ConvLSTM1D",
        (2, 3, 6, 2),
        {"filters": 2, "kernel_size": 3, "strides": 2, "return_sequences": True, "go_backwards": True},
    ),
    *_cases(
        "ConvLSTM2D",
        (2, 3, 5, 4, 2),
        {"filters": 3, "kernel_size": (2, 3)},
    ),
    *_cases("ConvLSTM2D", (2, 3, 2, 5, 4), {"filters": 2, "kernel_size": 3, "padding": "same", **FIRST}),
    *_cases("Masking", (2, 5, 3), {"mask_value": 1.0}),
    *_cases("Rescaling", (2, 4, 4, 3), {"scale": 0.5, "offset": -1.0}, {"scale": [1.0, 2.0, 3.0]}),
]
