"""EinsumDense: a dense layer whose product an einsum equation describes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from engine.initializers import VarianceScaling
from engine.layers.input_spec import InputSpec
from engine.layers.kernel_layer import KernelLayer, kernel_attributes
from engine.ops.einsum import einsum_with_bias
from engine.registry import registered
from engine.variable import Variable

_EQUATION = re.compile(
    r"(?P<before>\.\.\.)?(?P<inputs>[A-Za-z]+)(?P<after>\.\.\.)?,(?P<weights>[A-Za-z]+)"
    r"->(?P<out_before>\.\.\.)?(?P<outputs>[A-Za-z]+)(?P<out_after>\.\.\.)?"
)


class EinsumShapes(NamedTuple):
    """What follows from an equation and the shape of inputs.

    Attributes:
        kernel, bias, output: shapes; no bias is None, and a free dimension of the output is None.
        input_axes, output_axes: the kernel's axes that are summed over, and those that are in the output.
    """

    kernel: tuple[int | None, ...]
    bias: tuple[int | None, ...] | None
    output: tuple[int | None, ...]
    input_axes: list[int]
    output_axes: list[int]


def einsum_shapes(
    equation: str, bias_axes: str | None, input_shape: Sequence[int | None], output_shape: Sequence[int | None]
) -> EinsumShapes:
    """The shapes of a layer's kernel, bias and output.

    Args:
        equation: "ab,bc->ac", where an ellipsis may stand before or after the labels of both inputs and output.
        bias_axes: the labels of the output along which the bias varies, or None.
        input_shape: of the inputs, with the batch axis.
        output_shape: without the batch axis and what the ellipsis stands for.

    Raises:
        ValueError: the equation does not have one of these forms, or the shapes do not fit it.
    """
    match = _EQUATION.fullmatch(equation.replace(" ", ""))
    parts: dict[str, str] = match.groupdict("") if match else {}
    before, after = bool(parts.get("before")), bool(parts.get("after"))
    ends = (bool(parts.get("out_before")), bool(parts.get("out_after")))
    if match is None or (before, after) != ends or (before and after):
        raise ValueError(
            "expected an equation of the form 'X,Y->Z', '...X,Y->...Z' or 'X...,Y->Z...'. "
            f"Received: equation={equation!r}"
        )
    inputs, weights, outputs = parts["inputs"], parts["weights"], parts["outputs"]
    hidden = len(input_shape) - len(inputs)
    if hidden < 0 or (hidden and not (before or after)):
        raise ValueError(f"the inputs of equation {equation!r} do not have {len(input_shape)} axes.")
    shape: list[int | None] = [input_shape[0], *output_shape]
    if before:
        shape[1:1] = input_shape[1:hidden]
    else:
        shape += input_shape[len(inputs) :]
    first = hidden if before else 0
    if len(shape) != hidden + len(outputs):
        raise ValueError(
            f"equation {equation!r} gives {hidden + len(outputs) - 1} axes besides the batch. "
            f"Received: output_shape={tuple(output_shape)}"
        )
    made = {label: shape[first + place] for place, label in enumerate(outputs)}
    given = {label: input_shape[first + place] for place, label in enumerate(inputs)}
    for label in [label for label in made if label in given]:
        if made[label] is not None and made[label] != given[label]:
            raise ValueError(
                f"label {label!r} of equation {equation!r} is {given[label]} long in the inputs and {made[label]} in "
                "the output."
            )
    strange = [label for label in outputs if label not in inputs + weights]
    strange += [label for label in weights if label not in inputs + outputs]
    strange += [label for label in bias_axes or "" if label not in outputs]
    if strange:
        raise ValueError(f"equation {equation!r} with bias_axes={bias_axes!r} says nothing about {strange[0]!r}.")
    bias: tuple[int | None, ...] | None = None
    if bias_axes is not None:
        place = min((outputs.index(label) for label in bias_axes), default=len(outputs))
        bias = tuple(made[label] if label in bias_axes else 1 for label in outputs[place:])
        bias += (1,) * (0 if before else hidden)
    kernel = tuple(made.get(label, given.get(label)) for label in weights)
    axes = {
        inside: [place for place, label in enumerate(weights) if (label in made) == inside] for inside in (False, True)
    }
    return EinsumShapes(kernel, bias, tuple(shape), axes[False], axes[True])


@registered("keras.layers")
class EinsumDense(KernelLayer):
    """activation(einsum(equation, inputs, kernel) + bias).

    Args:
        equation: of inputs and kernel: "abc,cde->abde", "...x,xy->...y" or "x...,xy->y...".
        output_shape: of the output without the batch axis and what an ellipsis stands for; None where the inputs say.
        activation: a name, a function or a layer; default: linear.
        bias_axes: the output's labels along which the bias varies; default: no bias.
        kernel_initializer, bias_initializer: first values; fans are counted along the kernel's summed and other axes.
        kernel_regularizer, bias_regularizer: penalties.
        kernel_constraint, bias_constraint: applied after updates.
        lora_rank, lora_alpha, gptq_unpacked_column_size, quantization_config: taken for compatibility; only None is
            supported.
    """

    _config_attributes = ("equation", "bias_axes", *kernel_attributes("kernel")[1:])

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activation=activation,
            use_bias=bias_axes is not None,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            bias_constraint=bias_constraint,
            activity_regularizer=kwargs.pop("activity_regularizer", None),
            kernel_options=(kernel_initializer, kernel_regularizer, kernel_constraint),
            **kwargs,
        )
        if any(option is not None for option in (lora_rank, lora_alpha, gptq_unpacked_column_size)):
            raise ValueError(f"Layer {self.name!r}: LoRA and quantization of single layers are not supported.")
        if quantization_config is not None:
            raise ValueError(f"Layer {self.name!r}: quantization of single layers is not supported.")
        self.equation = equation
        self.partial_output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.bias_axes = bias_axes

    def _shapes(self, input_shape: Any) -> EinsumShapes:
        try:
            return einsum_shapes(self.equation, self.bias_axes, input_shape, self.partial_output_shape)
        except ValueError as error:
            raise ValueError(f"Layer {self.name!r}: {error}") from None

    def build(self, input_shape: Any) -> None:
        shapes = self._shapes(input_shape)
        self.input_spec = InputSpec(ndim=len(input_shape))
        initializer, regularizer, constraint = (
            getattr(self, f"kernel_{part}") for part in ("initializer", "regularizer", "constraint")
        )
        if isinstance(initializer, VarianceScaling) and None in (initializer.input_axes, initializer.output_axes):
            config = {**initializer.get_config(), "seed": initializer.seed}
            initializer = type(initializer)(
                **{**config, "input_axes": shapes.input_axes, "output_axes": shapes.output_axes}
            )
        self.kernel = self.add_weight(
            shapes.kernel,  # type: ignore[arg-type]
            name="kernel",
            initializer=initializer,
            regularizer=regularizer,
            constraint=constraint,
        )
        self.bias: Variable | None = None
        if shapes.bias is not None:
            self.bias = self.add_weight(
                shapes.bias,  # type: ignore[arg-type]
                name="bias",
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._shapes(input_shape).output

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.activation(einsum_with_bias(self.equation, inputs, self.kernel, self.bias))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {
            **config,
            "output_shape": self.partial_output_shape,
            "activity_regularizer": config.get("activity_regularizer"),
            "quantization_config": None,
        }
