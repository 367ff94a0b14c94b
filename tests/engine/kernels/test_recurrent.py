"""The recurrent kernels against the reference, and what happens where the two are mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives.dispatch import prepare as prepare_kernel
from engine.primitives.primitive import Array, Primitive, Spec
from engine.primitives.recurrent import PAIRS, lstm, lstm_gradient, simple_rnn
from engine.tape import Tape
from engine.tensor import Tensor
from tests.engine.kernels.cases import RECURRENT
from tests.engine.kernels.running import check, normal, prepare, run

cases = pytest.mark.parametrize("case", list(RECURRENT.values()), ids=list(RECURRENT))


def _inputs(shapes: list[tuple[int, ...]]) -> list[Array]:
    """Random arrays, kernels small enough that gates do not saturate."""
    scales = [1.0] * (len(shapes) - 3) + [shapes[-3][0] ** -0.5, shapes[-2][0] ** -0.5, 1.0]
    return [
        normal(*shape, seed=i) * np.float32(scale) for i, (shape, scale) in enumerate(zip(shapes, scales, strict=True))
    ]


def _setting(case: Any) -> tuple[Primitive, Primitive, list[Array], dict[str, Any], tuple[int, int]]:
    """Both primitives, inputs, options, and where the weights are among the inputs."""
    name, shapes, options = case
    return *PAIRS[name], _inputs(shapes), options, (len(shapes) - 3, len(shapes) - 2)


@cases
@pytest.mark.parametrize("packed", [False, True])
def test_outputs_and_states_equal_the_reference(case: Any, packed: bool) -> None:
    forward, _, inputs, options, weights = _setting(case)
    constant = weights if packed else ()
    results = len(inputs) - 3
    inference = [True] * results + [False]
    check(forward, inputs, constant, inference, tolerance=2e-5, **options)
    training = run(forward, inputs, constant, **options)
    for ours, expected in zip(training[:-1], forward.evaluate(inputs, options)[:-1], strict=True):
        np.testing.assert_allclose(ours, expected, atol=2e-5)


@cases
def test_gradients_equal_the_reference_whatever_part_is_wanted(case: Any) -> None:
    forward, gradient, inputs, options, weights = _setting(case)
    outputs = run(forward, inputs, **options)
    incoming = [normal(*output.shape, seed=20 + i) for i, output in enumerate(outputs[:-1])]
    expected = gradient.evaluate([*incoming, *inputs, *forward.evaluate(inputs, options)], options)
    count = len(inputs)
    places = [index + len(incoming) for index in weights]
    for wanted in ([True] * count, [False] * (count - 3) + [True] * 3, [True] + [False] * (count - 1)):
        for constant in ((), places):
            found = run(gradient, [*incoming, *inputs, *outputs], constant, wanted, **options)
            for ours, theirs, asked in zip(found, expected, wanted, strict=True):
                if asked:
                    scale = max(1.0, float(np.abs(theirs).max()))
                    np.testing.assert_allclose(ours, theirs, rtol=5e-5, atol=5e-5 * scale)


def test_the_reference_never_reads_a_kernels_workspace() -> None:
    forward, gradient, inputs, options, _ = _setting(RECURRENT["lstm, odd lengths"])
    outputs = run(forward, inputs, **options)
    incoming = [normal(*output.shape, seed=20 + i) for i, output in enumerate(outputs[:-1])]
    expected = gradient.evaluate([*incoming, *inputs, *forward.evaluate(inputs, options)], options)
    for ours, theirs in zip(gradient.evaluate([*incoming, *inputs, *outputs], options), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_kernel_refuses_the_references_workspace() -> None:
    _, _, inputs, options, _ = _setting(RECURRENT["lstm, odd lengths"])
    outputs = [np.ascontiguousarray(output) for output in lstm.evaluate(inputs, options)]
    incoming = [np.ones_like(output) for output in outputs[:-1]]
    with pytest.raises(RuntimeError, match="workspace that oneDNN wrote"):
        run(lstm_gradient, [*incoming, *inputs, *outputs], **options)


def test_types_other_than_float32_are_left_to_the_reference() -> None:
    _, _, inputs, options, _ = _setting(RECURRENT["lstm, odd lengths"])
    for dtype in ("float64", "float16"):
        arrays = [array.astype(dtype) for array in inputs]
        assert prepare(lstm, arrays, **options) is None
        assert lstm(*arrays)[0].dtype == dtype


def test_a_tape_goes_through_forward_kernel_and_gradient_kernel() -> None:
    forward, gradient, inputs, options, _ = _setting(RECURRENT["gru"])
    tensors = [Tensor(array) for array in inputs]
    with Tape() as tape:
        for tensor in tensors:
            tape.watch(tensor)
        y, _ = forward(*tensors, **options)
    found = tape.gradient(y, tensors)
    outputs = forward.evaluate(inputs, options)
    incoming = [np.ones_like(outputs[0]), np.zeros_like(outputs[1])]
    for ours, theirs in zip(found, gradient.evaluate([*incoming, *inputs, *outputs], options), strict=True):
        scale = max(1.0, float(np.abs(theirs).max()))
        np.testing.assert_allclose(ours.numpy(), theirs, atol=5e-5 * scale)


def test_inference_needs_no_workspace() -> None:
    _, shapes, options = RECURRENT["lstm"]
    specs = [Spec(shape, np.dtype(np.float32)) for shape in shapes]
    *results, workspace = lstm.infer(specs, options)
    inference = prepare_kernel(lstm, specs, [*results, None], options)
    training = prepare_kernel(lstm, specs, [*results, workspace], options)
    assert inference is not None
    assert training is not None
    assert inference.implementation != training.implementation


def test_nan_stays_with_tanh_and_relu_drops_it() -> None:
    for activation, expected in (("tanh", True), ("relu", False)):
        _, _, inputs, options, _ = _setting(RECURRENT["simple"])
        inputs[0][0, 0, 0] = np.nan
        y = run(simple_rnn, inputs, wanted=[True, True, False], **{**options, "activation": activation})[0]
        assert y is not None
        assert bool(np.isnan(y[0]).any()) is expected
