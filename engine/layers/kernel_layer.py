"""KernelLayer: what Dense and the convolutions share: a kernel, a bias and an activation, with their options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from engine import activations, constraints, initializers, regularizers
from engine.layers.layer import Layer
from engine.variable import Variable


class KernelLayer(Layer):
    """A layer with a kernel, an optional bias and an activation.

    Args:
        activation: a name, a function or a layer; default: linear.
        use_bias: whether a bias is added before the activation.
        bias_initializer, bias_regularizer, bias_constraint: of the bias.
        activity_regularizer: of the outputs.
        options: `<prefix>_initializer` (default "glorot_uniform"), `<prefix>_regularizer` and `<prefix>_constraint` of
            the kernel, where the prefix is the class's; the rest goes to `Layer`.
    """

    _prefix: ClassVar[str] = "kernel"

    def __init__(
        self,
        *,
        activation: Any,
        use_bias: bool,
        bias_initializer: Any,
        bias_regularizer: Any,
        bias_constraint: Any,
        activity_regularizer: Any,
        kernel_options: tuple[Any, Any, Any],
        **options: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self._set_kernel_options(self._prefix, kernel_options)
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias: Variable | None = None

    def _set_kernel_options(self, prefix: str, options: tuple[Any, Any, Any]) -> None:
        initializer, regularizer, constraint = options
        setattr(self, f"{prefix}_initializer", initializers.get(initializer))
        setattr(self, f"{prefix}_regularizer", regularizers.get(regularizer))
        setattr(self, f"{prefix}_constraint", constraints.get(constraint))

    def _add_kernel(self, shape: Sequence[int], name: str = "kernel", prefix: str | None = None) -> Variable:
        """A weight with the options of `prefix`; default: those of the class's kernel."""
        prefix = self._prefix if prefix is None else prefix
        return self.add_weight(
            shape,
            name=name,
            initializer=getattr(self, f"{prefix}_initializer"),
            regularizer=getattr(self, f"{prefix}_regularizer"),
            constraint=getattr(self, f"{prefix}_constraint"),
        )

    def _add_bias(self, length: int) -> Variable | None:
        if not self.use_bias:
            return None
        return self.add_weight(
            (length,),
            name="bias",
            initializer=self.bias_initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["activation"] = activations.serialize(self.activation)
        return config


def kernel_attributes(*prefixes: str) -> tuple[str, ...]:
    """The attributes that every such layer has in its config, apart from its activation."""
    kernel = tuple(f"{prefix}_{part}" for prefix in prefixes for part in ("initializer", "regularizer", "constraint"))
    return ("use_bias", *kernel, "bias_initializer", "bias_regularizer", "bias_constraint")
