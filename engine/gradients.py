"""Gradients for users: a tape that records what happens, and functions that give the gradient of a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from engine import ops, tree
from engine.dtypes import is_float
from engine.primitives.apply import as_value
from engine.primitives.decomposition import distinct
from engine.scopes import current_tapes, taping
from engine.tape import Tape
from engine.tensor import Symbol, Tensor, full_like
from engine.variable import Variable


class GradientTape:
    """Records operations inside its block, so that gradients can be asked for (TensorFlow's `tf.GradientTape`).

        with engine.GradientTape() as tape:
            loss = loss_function(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)

    Args:
        persistent: gradients may be asked for several times; else the records are let go of at the first time.
        watch_accessed_variables: trainable variables are watched as they are read.

    Gradients asked for inside the block of another tape are recorded there, which gives gradients of gradients. It
    works in training steps that are captured into a plan as it does outside.
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._tape = Tape(persistent, watch_accessed_variables)
        self._recording = False

    def __enter__(self) -> GradientTape:
        if self._recording:
            raise ValueError("The tape is recording already.")
        self._tape.__enter__()
        self._recording = True
        return self

    def __exit__(self, *error: Any) -> None:
        self._recording = False
        self._tape.__exit__(*error)

    def watch(self, tensor: Any) -> None:
        """Records what depends on a tensor or variable, or on each of a nest of them.

        Raises:
            TypeError: a NumPy array or a Python number, which the tape could not know again.
        """
        for leaf in tree.flatten(tensor):
            self._tape.watch(_trackable(leaf))

    def stop_recording(self) -> AbstractContextManager[None]:
        """A block in which this tape records nothing."""
        return taping(tuple(tape for tape in current_tapes() if tape is not self._tape))

    def reset(self) -> None:
        """Forgets all that was recorded and watched; only inside the block."""
        if not self._recording:
            raise ValueError("Only a tape that is recording can be reset.")
        self._tape.forget()

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables that the tape knows, in the order in which they were read."""
        return self._tape.variables

    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: str = "none"
    ) -> Any:
        """The gradients of `target`, the sum of all its entries, with respect to `sources`.

        Args:
            target: a tensor, or a nest of tensors, which are added up.
            sources: a nest of watched tensors and variables.
            output_gradients: what to start from, a nest like `target`; default: ones.
            unconnected_gradients: what a source gets that `target` does not depend on: "none": None, "zero": zeros.

        Returns:
            A nest like `sources`.

        Raises:
            RuntimeError: asked for a second time, and the tape is not persistent.
        """
        starts = None if output_gradients is None else [as_value(leaf) for leaf in tree.flatten(output_gradients)]
        targets = [as_value(leaf) for leaf in tree.flatten(target)]
        leaves = [_trackable(leaf) for leaf in tree.flatten(sources)]
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(f"unconnected_gradients must be 'none' or 'zero'. Received: {unconnected_gradients!r}")
        found = self._tape.gradient(targets, leaves, starts)
        if unconnected_gradients == "zero":
            found = _with_zeros(found, leaves)
        return tree.pack_sequence_as(sources, found)

    def jacobian(self, target: Any, sources: Any, unconnected_gradients: str = "none") -> Any:
        """The derivative of every entry of `target` with respect to every entry of each source, one after the other.

        Args:
            target: one tensor.
            sources, unconnected_gradients: as in `gradient`.

        Returns:
            A nest like `sources` of tensors of shape (*target.shape, *source.shape).

        Raises:
            ValueError: `target` has no entries.
        """
        target = as_value(target)
        if target.size == 0:
            raise ValueError(f"jacobian: target of shape {target.shape} has no entries.")
        leaves = [_trackable(leaf) for leaf in tree.flatten(sources)]
        starts = np.eye(target.size, dtype=target.dtype).reshape(target.size, *target.shape)
        rows = self._tape.gradients(target, leaves, [Tensor(start) for start in starts])
        found = []
        for source, parts in zip(leaves, zip(*rows, strict=True), strict=True):
            if all(part is None for part in parts):
                found.append(full_like(source, 0.0) if unconnected_gradients == "zero" else None)
                continue
            stacked = ops.stack(_with_zeros(parts, [source] * len(parts)), axis=0)
            found.append(ops.reshape(stacked, (*target.shape, *source.shape)))
        return tree.pack_sequence_as(sources, found)


def value_and_grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns what `function` does, a scalar, and its gradient (JAX's `jax.value_and_grad`).

    Args:
        function: takes nests of arrays, returns a scalar, or (scalar, anything else) with `has_aux`.
        argnums: the positional arguments to differentiate by: nests of float arrays, tensors, variables or numbers.
        has_aux: whether `function` returns more than the scalar.

    Returns:
        A function of the same arguments. It returns (value, gradient), the value with what came beside it where
        `has_aux`; the gradient is a nest like the argument, or a tuple of such nests where `argnums` is a sequence.
        Where nothing depends on an argument, its gradient is zeros.

    Raises:
        TypeError, when called: an argument that holds no floats, or a result that is no scalar.
        ValueError, when called: fewer arguments than `argnums` says.
    """
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def differentiated(*args: Any, **kwargs: Any) -> Any:
        if any(not -len(args) <= number < len(args) for number in numbers):
            raise ValueError(f"argnums={argnums!r} needs as many positional arguments. Received: {len(args)}")
        arguments = list(args)
        chosen = [arguments[number] for number in numbers]
        leaves = distinct([_differentiable(leaf) for leaf in tree.flatten(chosen)])
        for number, argument in zip(numbers, tree.pack_sequence_as(chosen, leaves), strict=True):
            arguments[number] = argument
        with Tape(watch_variables=False) as tape:
            for leaf in leaves:
                tape.watch(leaf)
            result = function(*arguments, **kwargs)
        value = as_value(result[0] if has_aux else result)
        if value.shape != () or not is_float(value.dtype):
            raise TypeError(
                "Only functions that return a float scalar have a gradient. "
                f"Received: a result of shape {value.shape} and dtype {value.dtype.name}"
            )
        found = tree.pack_sequence_as(chosen, _with_zeros(tape.gradient(value, leaves), leaves))
        gradient = found[0] if isinstance(argnums, int) else tuple(found)
        return ((value, result[1]) if has_aux else value), gradient

    return differentiated


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of `function`; arguments and errors as in `value_and_grad`.

    With `has_aux` it returns (gradient, what came beside the scalar). `grad(grad(f))` is the second derivative.
    """
    differentiated = value_and_grad(function, argnums, has_aux)

    def gradient_of(*args: Any, **kwargs: Any) -> Any:
        value, gradient = differentiated(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return gradient_of


def _trackable(leaf: Any) -> Any:
    if isinstance(leaf, (Tensor, Symbol, Variable)):
        return leaf
    raise TypeError(
        "A tape knows tensors and variables: convert arrays by `engine.ops.convert_to_tensor` and use the result. "
        f"Received: {type(leaf).__name__}"
    )


def _differentiable(leaf: Any) -> Any:
    value = as_value(leaf)
    if not is_float(value.dtype):
        raise TypeError(f"Gradients need arguments of a float dtype. Received: {value.dtype.name} ({leaf!r})")
    return value


def _with_zeros(gradients: Sequence[Any], sources: Sequence[Any]) -> list[Any]:
    return [
        full_like(source, 0.0) if gradient is None else gradient
        for gradient, source in zip(gradients, sources, strict=True)
    ]
