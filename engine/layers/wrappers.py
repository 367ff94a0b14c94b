"""Layers around another layer: a recurrent one in both directions, and any one at every step of time."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.layer import Layer
from engine.ops.operation import inferring
from engine.registry import deserialize, registered, serialize

_MERGES = ("sum", "mul", "ave", "concat", None)
_RECURRENT = ("go_backwards", "return_sequences", "return_state", "stateful")


def _require_layer(name: str, value: Any) -> None:
    if not isinstance(value, Layer):
        raise ValueError(f"`{name}` must be a layer. Received: {value!r}")


def _require_recurrent(name: str, value: Any) -> None:
    _require_layer(name, value)
    missing = [attribute for attribute in _RECURRENT if not hasattr(value, attribute)]
    if missing:
        raise TypeError(
            f"`{name}` must be a recurrent layer, such as LSTM, GRU or RNN, with {', '.join(_RECURRENT)}. Received: "
            f"{type(value).__name__} {value.name!r}, without {', '.join(missing)}"
        )


@registered("keras.layers")
class Wrapper(Layer):
    """A layer around another: the base class.

    Args:
        layer: the one inside.
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        _require_layer("layer", layer)
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        config = dict(config)
        return cls(deserialize(config.pop("layer"), custom_objects), **config)


@registered("keras.layers")
class TimeDistributed(Wrapper):
    """Applies a layer to every step of (batch, time, …), with the same weights.

    Args:
        layer: takes (batch, …).
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def _inner(self, shape: Any) -> tuple[Any, ...]:
        if len(shape) < 3:
            raise ValueError(
                f"Layer {self.name!r} expects (batch, time, …) of at least three axes. Received: shape {tuple(shape)}"
            )
        return (shape[0], *shape[2:])

    def build(self, input_shape: Any = None) -> None:
        super().build(self._inner(input_shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, *rest = self.layer.compute_output_shape(self._inner(input_shape))
        return (batch, input_shape[1], *rest)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        batch, length = inputs.shape[:2]
        if mask is not None and tuple(mask.shape[:2]) != (batch, length):
            raise ValueError(f"expected a mask that begins with {(batch, length)}. Received: {tuple(mask.shape)}")
        signature = self.layer._call_signature
        named = {"training": training} if signature.takes_training else {}
        if not (signature.takes_mask and mask is not None) and self._is_free_of_steps():
            # One call for all steps.
            outputs = self.layer(ops.reshape(inputs, (batch * length, *inputs.shape[2:])), **named)
            return ops.reshape(outputs, (batch, length, *outputs.shape[1:]))
        found = []
        for time in range(1 if inferring() else length):
            if signature.takes_mask and mask is not None:
                named["mask"] = mask[:, time]
            found.append(self.layer(inputs[:, time], **named))
        outputs = ops.stack(found, axis=1)
        return ops.broadcast_to(outputs, (outputs.shape[0], length, *outputs.shape[2:]))

    def _is_free_of_steps(self) -> bool:
        """Whether a row's result hangs on no other row: no statistics of the batch, no penalty on outputs."""
        regularized = any(layer.activity_regularizer is not None for layer in self.layer._flatten_layers())
        return not regularized and all(weight.trainable for weight in self.layer.weights)


@registered("keras.layers")
class Bidirectional(Layer):
    """A recurrent layer from the first step to the last, beside one from the last to the first.

    Args:
        layer: recurrent; a copy of it goes one way, and another one the other way.
        merge_mode: "concat" (along the last axis), "sum", "mul", "ave", or None: both outputs are returned.
        weights: first values for both layers, in the order of `weights`.
        backward_layer: goes the other way, in place of the copy.
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        _require_recurrent("layer", layer)
        if backward_layer is not None:
            _require_recurrent("backward_layer", backward_layer)
        if merge_mode not in _MERGES:
            raise ValueError(f"`merge_mode` must be one of {_MERGES}. Received: {merge_mode!r}")
        super().__init__(**kwargs)
        self.forward_layer = _copy(layer, "forward_")
        self.backward_layer = backward_layer or _copy(layer, "backward_", go_backwards=not layer.go_backwards)
        self._check_directions()
        for direction in (self.forward_layer, self.backward_layer):
            # What is merged must not be left over from other steps.
            if hasattr(direction, "zero_output_for_mask"):
                direction.zero_output_for_mask = direction.return_sequences
        self.merge_mode = merge_mode
        self._first_weights = weights
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_directions(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                f"Layer {self.name!r}: the two layers must differ in `go_backwards`. Received: "
                f"{forward.go_backwards} for both"
            )
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(forward, name) != getattr(backward, name):
                raise ValueError(
                    f"Layer {self.name!r}: the two layers must agree in `{name}`. Received: {getattr(forward, name)} "
                    f"and {getattr(backward, name)}"
                )

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
        if self._first_weights:
            half = len(self._first_weights) // 2
            self.forward_layer.set_weights(self._first_weights[:half])
            self.backward_layer.set_weights(self._first_weights[half:])
            self._first_weights = None

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        shape = self.forward_layer.compute_output_shape(sequences_shape)
        output, states = (shape[0], list(shape[1:])) if self.return_state else (shape, [])
        if self.merge_mode is None:
            return [output, output, *states, *states]
        merged = (*output[:-1], 2 * output[-1]) if self.merge_mode == "concat" else output
        return [merged, *states, *states] if self.return_state else merged

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        mask = previous_mask if self.return_sequences else None
        outputs = [mask] if self.merge_mode is not None else [mask, mask]
        if self.return_state:
            return outputs + [None] * (2 * len(self.forward_layer.state_size))
        return outputs if self.merge_mode is None else mask

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None) -> Any:
        half = None if initial_state is None else len(initial_state) // 2
        results = []
        for layer, part in ((self.forward_layer, slice(None, half)), (self.backward_layer, slice(half, None))):
            named: dict[str, Any] = {"training": training, "mask": mask}
            if initial_state is not None:
                named["initial_state"] = list(initial_state[part])
            result = layer(sequences, **named)
            results.append(list(result) if self.return_state else [result])
        (forward, *states), (backward, *others) = results
        if self.return_sequences:
            backward = ops.flip(backward, axis=1)
        output = self._merged(forward, backward)
        if self.return_state:
            return (*(output if self.merge_mode is None else (output,)), *states, *others)
        return output

    def _merged(self, forward: Any, backward: Any) -> Any:
        match self.merge_mode:
            case "concat":
                return ops.concatenate([forward, backward], axis=-1)
            case "sum":
                return forward + backward
            case "ave":
                return (forward + backward) / 2
            case "mul":
                return forward * backward
            case _:
                return forward, backward

    def reset_state(self) -> None:
        """Makes the states that stateful layers keep zero."""
        for layer in (self.forward_layer, self.backward_layer):
            layer.reset_state()

    def reset_states(self) -> None:
        """`reset_state` by its older name."""
        self.reset_state()

    @property
    def states(self) -> Any:
        """The states that stateful layers keep."""
        kept = (self.forward_layer.states, self.backward_layer.states)
        return tuple(kept) if all(kept) else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize(self.forward_layer),
            "backward_layer": serialize(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        config = dict(config)
        for name in ("layer", "backward_layer"):
            if isinstance(config.get(name), dict):
                config[name] = deserialize(config[name], custom_objects)
        return cls(**config)


def _copy(layer: Any, prefix: str, **changed: Any) -> Any:
    """An equal layer without weights, whose name begins with the prefix."""
    config = {**layer.get_config(), "name": prefix + layer.name.removeprefix(prefix), **changed}
    return type(layer).from_config(config)
