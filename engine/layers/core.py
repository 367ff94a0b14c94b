"""Input, Dense, Activation, Identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import activations
from engine.dtypes import standardize_dtype
from engine.layers.input_spec import InputSpec
from engine.layers.kernel_layer import KernelLayer, kernel_attributes
from engine.layers.layer import Layer
from engine.ops.linear import dense
from engine.ops.operation import KerasTensor, Node
from engine.registry import registered

Shape = Sequence[int | None]


@registered("keras.layers")
class InputLayer(Layer):
    """Where a tensor enters a model.

    Args:
        shape: without the batch axis; None where a length is free.
        batch_size: default: free.
        dtype: default: the global float type.
        sparse, ragged: only falsy values are supported.
        batch_shape: with the batch axis, in place of `shape` and `batch_size`.
        input_tensor: an existing placeholder to take as the input.
        optional: None may be passed for it.
        name: default: numbered "input_layer".
    """

    def __init__(
        self,
        shape: Shape | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Shape | None = None,
        input_tensor: KerasTensor | None = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name)
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)  # Keras 2's names
        shape = kwargs.pop("input_shape", shape)
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments passed to InputLayer: {kwargs}")
        if sparse or ragged:
            raise ValueError(f"Input {self.name!r}: sparse and ragged tensors are not supported.")
        if input_tensor is not None:
            if not isinstance(input_tensor, KerasTensor):
                raise ValueError(
                    f"Input {self.name!r}: `input_tensor` must be a KerasTensor. Received: {input_tensor!r}"
                )
            batch_shape, dtype = input_tensor.shape, dtype or input_tensor.dtype
        elif shape is None and batch_shape is None:
            raise ValueError(f"Input {self.name!r} needs a `shape`.")
        elif shape is not None and batch_shape is not None:
            raise ValueError(f"Input {self.name!r}: pass `shape` or `batch_shape`, not both.")
        if batch_shape is None:
            batch_shape = (batch_size, *_lengths(shape, self.name))
        self._batch_shape = _lengths(batch_shape, self.name)
        self._dtype_name = standardize_dtype(dtype)
        self.sparse = self.ragged = False
        self.optional = optional
        self.built = True
        placeholder = input_tensor
        if placeholder is None:
            placeholder = KerasTensor(self._batch_shape, self._dtype_name, name=self.name)
        Node(self, (), {}, placeholder)

    def call(self) -> Any:
        """The placeholder."""
        return self.output

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        return self._batch_shape

    @property
    def dtype(self) -> str:
        return self._dtype_name

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self._batch_shape,
            "dtype": self._dtype_name,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputLayer:
        dtype = config.get("dtype")
        if isinstance(dtype, dict):  # some versions wrote a policy
            config = {**config, "dtype": dtype["config"]["name"]}
        return cls(**config)

    def get_build_config(self) -> None:
        return None


def _lengths(shape: Any, name: str) -> tuple[int | None, ...]:
    given = (shape,) if isinstance(shape, int) else shape
    if not isinstance(given, (list, tuple)) or not all(item is None or isinstance(item, int) for item in given):
        raise ValueError(f"Input {name!r}: a shape holds integers and None. Received: {shape!r}")
    return tuple(given)


def Input(  # noqa: N802  (Keras's name)
    shape: Shape | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Shape | None = None,
    name: str | None = None,
    tensor: KerasTensor | None = None,
    optional: bool = False,
) -> Any:
    """A placeholder for data: what functional models start from. Arguments as those of `InputLayer`."""
    return InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        input_tensor=tensor,
        optional=optional,
        name=name,
    ).output


@registered("keras.layers")
class Dense(KernelLayer):
    """activation(inputs · kernel + bias) over the last axis.

    Args:
        units: the length of the last axis of the outputs.
        activation: a name, a function or a layer; default: linear.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: first values.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties.
        kernel_constraint, bias_constraint: applied after updates.
        lora_rank, lora_alpha, quantization_config: taken for compatibility; only None is supported.
    """

    _config_attributes = ("units", *kernel_attributes("kernel"))

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            bias_constraint=bias_constraint,
            activity_regularizer=activity_regularizer,
            kernel_options=(kernel_initializer, kernel_regularizer, kernel_constraint),
            **kwargs,
        )
        if not isinstance(units, int) or units <= 0:
            raise ValueError(f"Layer {self.name!r}: `units` must be a positive integer. Received: {units!r}")
        if any(option is not None for option in (lora_rank, lora_alpha, quantization_config)):
            raise ValueError(f"Layer {self.name!r}: LoRA and quantization of single layers are not supported.")
        self.units = units
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        inputs = input_shape[-1]
        if inputs is None:
            raise ValueError(f"Layer {self.name!r} needs a known last axis. Received: input shape {input_shape}")
        self.kernel = self._add_kernel((inputs, self.units))
        self.bias = self._add_bias(self.units)
        self.input_spec = InputSpec(min_ndim=2, axes={-1: inputs})

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.activation(dense(inputs, self.kernel, self.bias))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "quantization_config": None}


@registered("keras.layers")
class Activation(Layer):
    """An activation function as a layer.

    Args:
        activation: a name, a function or a layer.
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


@registered("keras.layers")
class Identity(Layer):
    """The inputs themselves."""

    _config_attributes = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs
