"""Gradients against numerical differences, in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.tape import Tape
from engine.tensor import Tensor

Array = np.ndarray[Any, Any]


def _outputs(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (list, tuple)) else [result]


def _weights(results: Sequence[Any]) -> list[Array]:
    """Fixed random factors, one for each entry of the results, that make one number of them."""
    rng = np.random.default_rng(99)
    return [rng.normal(size=result.shape) for result in results]


def gradients(function: Callable[..., Any], *arrays: Array) -> list[Array]:
    """Gradients of the weighted sum of what `function` returns, with respect to each array."""
    return [item.numpy() for item in _taped(function, [Tensor(array) for array in arrays])]


def _taped(function: Callable[..., Any], tensors: list[Tensor]) -> list[Any]:
    with Tape() as tape:
        for tensor in tensors:
            tape.watch(tensor)
        results = _outputs(function(*tensors))
    starts = [Tensor(weight.astype(result.dtype)) for result, weight in zip(results, _weights(results), strict=True)]
    found = tape.gradient(results, tensors, starts)
    assert all(item is not None for item in found), "an input got no gradient"
    return found


def _value(function: Callable[..., Any], arrays: Sequence[Array]) -> float:
    results = _outputs(function(*(Tensor(array) for array in arrays)))
    return sum(
        float(np.sum(result.numpy().astype(np.float64) * weight))
        for result, weight in zip(results, _weights(results), strict=True)
    )


def numerical_gradients(function: Callable[..., Any], *arrays: Array, step: float = 1e-5) -> list[Array]:
    """The same as `gradients`, by central differences."""
    found = []
    for index, array in enumerate(arrays):
        result = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            values = []
            for sign in (1, -1):
                moved = [item.copy() for item in arrays]
                moved[index][place] += sign * step
                values.append(_value(function, moved))
            result[place] = (values[0] - values[1]) / (2 * step)
        found.append(result)
    return found


def check_gradients(
    function: Callable[..., Any], *arrays: Any, order: int = 1, tolerance: float = 1e-6, step: float = 1e-5
) -> None:
    """Asserts that gradients equal central differences.

    Args:
        function: takes a tensor for each array, returns one or several.
        arrays: float64 (converted where they are not).
        order: 2 checks the gradient of the gradient as well.
        tolerance: relative to 1 + the gradient's size.
        step: of the differences.
    """
    exact = [np.array(array, np.float64) for array in arrays]
    analytic = gradients(function, *exact)
    for index, (ours, expected) in enumerate(
        zip(analytic, numerical_gradients(function, *exact, step=step), strict=True)
    ):
        assert ours.shape == expected.shape, f"input {index}: gradient of shape {ours.shape}"
        np.testing.assert_allclose(
            ours, expected, rtol=tolerance, atol=tolerance, err_msg=f"order {order}, gradient for input {index}"
        )
    if order > 1:

        def first(*tensors: Tensor) -> Any:
            # What depends linearly on an input has a gradient that does not depend on it: keep it in the graph.
            return [item + 0.0 * tensor for item, tensor in zip(_taped(function, list(tensors)), tensors, strict=True)]

        check_gradients(first, *exact, order=order - 1, tolerance=tolerance * 10, step=step)
