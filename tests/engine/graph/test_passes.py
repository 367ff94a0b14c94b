"""Passes: the graph gets shorter in the way that each promises, and computes the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.graph.capture import capture
from engine.graph.constants import Constants
from engine.graph.plan import Plan
from engine.primitives.activations import relu
from engine.primitives.convolution import convolution, transposed_convolution
from engine.primitives.elementwise import add, divide, exp, multiply, negative, subtract, tanh
from engine.primitives.indexing import clip
from engine.primitives.linear import matmul
from engine.primitives.normalization import batch_normalization
from engine.primitives.pooling import max_pooling
from engine.primitives.primitive import Spec
from engine.primitives.reductions import reduce_mean
from engine.primitives.shaping import concatenate, pad, reduce_sum, reshape, transpose
from engine.tape import Tape
from engine.tensor import Tensor
from engine.variable import Variable

FLOAT32 = np.dtype(np.float32)
IMAGE = (2, 9, 9, 8)
PLAIN: dict[str, Any] = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}

generator = np.random.default_rng(11)


def random(*shape: int) -> np.ndarray[Any, Any]:
    return generator.normal(size=shape).astype(np.float32)


def variable(*shape: int) -> Variable:
    return Variable(random(*shape))


class Statistics:
    """What a batch normalisation of `channels` channels reads."""

    def __init__(self, channels: int) -> None:
        self.mean, self.beta = variable(channels), variable(channels)
        self.variance = Variable(generator.uniform(0.3, 2.0, channels).astype(np.float32))
        self.gamma = Variable(generator.uniform(-2.0, 2.0, channels).astype(np.float32))

    def __call__(self, x: Any) -> Any:
        return batch_normalization(x, self.mean, self.variance, self.gamma, self.beta, epsilon=1e-3)


def nodes_after_passes(function: Callable[..., Any], *shapes: tuple[int, ...], frozen: bool = True) -> list[str]:
    """The names of the plan's nodes, views left out, after the plan was seen to compute what eager calls do."""
    arrays = [random(*shape) for shape in shapes]
    expected = function(*(Tensor(array) for array in arrays)).numpy()
    graph, _ = capture(function, *(Spec(shape, FLOAT32) for shape in shapes))
    plan = Plan(graph, frozen=frozen)
    for _ in range(2):  # the second run meets what the first left in memory
        (result,) = plan.run(arrays)
        np.testing.assert_allclose(result, expected, rtol=2e-5, atol=2e-5 * max(1.0, float(np.abs(expected).max())))
    return [row["primitive"] for row in plan.describe() if row["kernel"] != "view"]


def test_a_normalisation_after_a_convolution_becomes_part_of_its_weights() -> None:
    weights, bias, normalise = variable(3, 3, 8, 16), variable(16), Statistics(16)

    def network(x: Any) -> Any:
        return normalise(convolution(x, weights, bias, **PLAIN))

    assert nodes_after_passes(network, IMAGE) == ["convolution"]


@pytest.mark.parametrize("groups", [4, 8])
def test_a_normalisation_is_folded_into_grouped_weights_without_a_bias(groups: int) -> None:
    weights, normalise = variable(3, 3, 8 // groups, 16), Statistics(16)

    def network(x: Any) -> Any:
        return normalise(convolution(x, weights, **{**PLAIN, "groups": groups}))

    assert nodes_after_passes(network, IMAGE) == ["convolution"]


@pytest.mark.parametrize("bias", [True, False])
def test_a_normalisation_and_relu_join_a_transposed_convolution(bias: bool) -> None:
    weights, normalise = variable(3, 3, 16, 8), Statistics(16)
    options = {**PLAIN, "spatial": (19, 19), "strides": (2, 2)}
    more = [variable(16)] if bias else []
    names = nodes_after_passes(lambda x: relu(normalise(transposed_convolution(x, weights, *more, **options))), IMAGE)
    assert names == ["transposed_convolution + relu"]


def test_a_normalisation_after_a_matrix_product_becomes_part_of_its_weights() -> None:
    weights, normalise = variable(64, 128), Statistics(128)
    assert nodes_after_passes(lambda x: normalise(matmul(x, weights)), (64, 64)) == ["matmul"]


def test_a_normalisation_stays_where_the_convolution_is_read_by_others_too() -> None:
    weights, normalise = variable(3, 3, 8, 16), Statistics(16)

    def network(x: Any) -> Any:
        y = convolution(x, weights, **PLAIN)
        return multiply(normalise(y), tanh(y))

    assert any("batch_normalization" in name for name in nodes_after_passes(network, IMAGE))


def test_a_normalisation_stays_where_weights_may_change() -> None:
    weights, normalise = variable(3, 3, 8, 16), Statistics(16)
    names = nodes_after_passes(lambda x: normalise(convolution(x, weights, **PLAIN)), IMAGE, frozen=False)
    assert "batch_normalization" in names


@pytest.mark.parametrize("widths", [((0, 0), (1, 2), (0, 3), (0, 0)), ((0, 0), (3, 3), (3, 3), (0, 0))])
def test_padding_before_a_convolution_becomes_its_own(widths: Any) -> None:
    weights = variable(3, 3, 8, 16)
    assert nodes_after_passes(lambda x: convolution(pad(x, widths=widths), weights, **PLAIN), IMAGE) == ["convolution"]


def test_padding_of_channels_or_with_another_number_stays() -> None:
    weights, wider = variable(3, 3, 8, 16), variable(3, 3, 10, 16)
    one = ((0, 0), (1, 1), (1, 1), (0, 0))
    channels = ((0, 0), (0, 0), (0, 0), (1, 1))
    assert nodes_after_passes(lambda x: convolution(pad(x, widths=one, value=1.0), weights, **PLAIN), IMAGE)[0] == "pad"
    assert nodes_after_passes(lambda x: convolution(pad(x, widths=channels), wider, **PLAIN), IMAGE)[0] == "pad"


def test_padding_before_maximum_pooling_goes_only_where_nothing_is_negative() -> None:
    widths = ((0, 0), (1, 1), (1, 1), (0, 0))

    def pooled(x: Any) -> Any:
        y = max_pooling(pad(x, widths=widths), window=(3, 3), strides=(2, 2), padding=((0, 0), (0, 0)))
        return y[0] if isinstance(y, tuple) else y

    assert nodes_after_passes(lambda x: pooled(relu(x)), IMAGE) == ["relu", "max_pooling"]
    assert nodes_after_passes(lambda x: pooled(negative(relu(x))), IMAGE) == ["relu", "negative", "pad", "max_pooling"]


def test_padding_stays_before_maximum_pooling_where_a_window_would_see_nothing_else() -> None:
    widths = ((0, 0), (2, 2), (2, 2), (0, 0))

    def network(x: Any) -> Any:
        pooled = max_pooling(pad(relu(x), widths=widths), window=(3, 3), strides=(1, 1), padding=((1, 1), (1, 1)))
        return pooled[0] if isinstance(pooled, tuple) else pooled

    assert nodes_after_passes(network, IMAGE) == ["relu", "pad", "max_pooling"]


def test_padding_before_maximum_pooling_keeps_its_share_of_the_gradient() -> None:
    weights = Variable(np.zeros((1, 1, 2, 2), np.float32))
    widths = ((0, 0), (1, 1), (1, 1), (0, 0))

    def gradient(x: Any) -> Any:
        with Tape() as tape:
            y = clip(convolution(x, weights, **PLAIN), minimum=0.0, maximum=6.0)
            pooled = max_pooling(pad(y, widths=widths), window=(3, 3), strides=(2, 2), padding=((0, 0), (0, 0)))
            loss = reduce_sum(pooled[0] if isinstance(pooled, tuple) else pooled, axes=(0, 1, 2, 3))
        return tape.gradient(loss, [weights])[0]

    x = np.ones((1, 6, 6, 2), np.float32)
    expected = gradient(Tensor(x)).numpy()
    graph, _ = capture(gradient, Spec(x.shape, FLOAT32))
    np.testing.assert_allclose(Plan(graph).run([x])[0], expected)


def test_transposes_around_elementwise_work_cancel() -> None:
    last, first = (0, 2, 3, 1), (0, 3, 1, 2)

    def network(x: Any) -> Any:
        y = transpose(tanh(transpose(x, axes=last)), axes=first)
        z = transpose(negative(transpose(y, axes=last)), axes=first)
        return add(y, z)

    graph, _ = capture(network, Spec((2, 8, 9, 9), FLOAT32))
    names = [row["primitive"] for row in Plan(graph, frozen=True).describe()]
    assert names == ["tanh", "negative", "add"]
    nodes_after_passes(network, (2, 8, 9, 9))


def test_transposes_sink_through_padding_and_concatenation() -> None:
    def network(x: Any, y: Any) -> Any:
        a, b = transpose(x, axes=(0, 3, 1, 2)), transpose(y, axes=(0, 3, 1, 2))
        joined = concatenate(a, b, axis=1)
        return transpose(pad(joined, widths=((0, 0), (0, 0), (1, 2), (3, 0))), axes=(0, 2, 3, 1))

    graph, _ = capture(network, Spec(IMAGE, FLOAT32), Spec(IMAGE, FLOAT32))
    names = [row["primitive"] for row in Plan(graph, frozen=True).describe()]
    assert names == ["concatenate", "pad"]
    nodes_after_passes(network, IMAGE, IMAGE)


@pytest.mark.parametrize(("axes", "left"), [((2, 3), []), ((1,), []), ((0, 1), []), ((2,), ["transpose"])])
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_transpose_before_a_reduction_comes_after_it_or_goes(axes: Any, left: list[str], keepdims: bool) -> None:
    def network(x: Any) -> Any:
        return reduce_mean(transpose(x, axes=(0, 3, 1, 2)), axes=axes, keepdims=keepdims)

    graph, _ = capture(network, Spec(IMAGE, FLOAT32))
    names = [row["primitive"] for row in Plan(graph, frozen=True).describe()]
    assert names == ["reduce_mean", *(["transpose"] if keepdims else left)]
    nodes_after_passes(network, IMAGE)


def test_reshapes_in_a_row_become_one_and_those_to_the_same_shape_none() -> None:
    def network(x: Any) -> Any:
        return tanh(reshape(reshape(reshape(x, shape=(4, 16)), shape=(64,)), shape=(8, 8)))

    graph, _ = capture(network, Spec((8, 8), FLOAT32))
    assert [row["primitive"] for row in Plan(graph, frozen=True).describe()] == ["tanh"]


def test_adding_nothing_and_multiplying_by_one_are_dropped() -> None:
    def network(x: Any) -> Any:
        y = divide(multiply(add(x, 0.0), 1.0), 1.0)
        return tanh(subtract(y, 0.0))

    assert nodes_after_passes(network, (8, 8)) == ["tanh"]
    assert nodes_after_passes(lambda x: divide(1.0, subtract(0.0, exp(x))), (8, 8)) == ["exp", "subtract", "divide"]


def test_bias_activation_and_residual_join_a_convolution() -> None:
    weights, bias, normalise = variable(3, 3, 8, 8), variable(8), Statistics(8)
    same = {**PLAIN, "padding": ((1, 1), (1, 1))}

    def network(x: Any) -> Any:
        return relu(add(x, normalise(convolution(x, weights, bias, **same))))

    assert nodes_after_passes(network, IMAGE) == ["convolution + add + relu"]


def test_of_two_convolutions_that_are_added_the_later_takes_the_addition() -> None:
    short, long = variable(1, 1, 8, 16), variable(1, 1, 8, 16)

    def network(x: Any) -> Any:
        return relu(add(convolution(x, short, **PLAIN), convolution(x, long, **PLAIN)))

    assert nodes_after_passes(network, IMAGE) == ["convolution", "convolution + add + relu"]


def test_a_residual_that_is_needed_afterwards_is_not_overwritten() -> None:
    weights = variable(1, 1, 8, 8)

    def network(x: Any) -> Any:
        shortcut = tanh(x)
        return multiply(add(shortcut, convolution(shortcut, weights, **PLAIN)), shortcut)

    assert nodes_after_passes(network, IMAGE) == ["tanh", "convolution + add + multiply"]


def test_a_result_that_others_read_ends_the_chain() -> None:
    weights = variable(1, 1, 8, 8)

    def network(x: Any) -> Any:
        y = convolution(x, weights, **PLAIN)
        return add(relu(y), tanh(negative(y)))

    assert nodes_after_passes(network, IMAGE)[0] == "convolution"


def test_channelwise_and_scalar_operands_join_too() -> None:
    weights, scale = variable(1, 1, 8, 16), variable(16)

    def network(x: Any) -> Any:
        return clip(add(multiply(convolution(x, weights, **PLAIN), scale), 0.5), minimum=0.0, maximum=6.0)

    assert nodes_after_passes(network, IMAGE) == ["convolution + multiply + add + clip"]


@pytest.mark.parametrize("shape", [(96, 64), (4, 24, 64)])
def test_relu_joins_a_matrix_product_of_any_rank(shape: tuple[int, ...]) -> None:
    weights, bias = variable(64, 96), variable(96)
    residual = random(*shape[:-1], 96)
    names = nodes_after_passes(lambda x: relu(add(matmul(x, weights, bias), residual)), shape)
    assert names == ["matmul + add + relu"]


def test_relu_joins_a_normalisation_that_cannot_be_folded() -> None:
    normalise = Statistics(16)
    assert nodes_after_passes(lambda x: relu(normalise(x)), (4, 16, 16, 16)) == ["batch_normalization + relu"]


def test_folded_arrays_are_made_once_for_all_plans_and_let_go_when_packed() -> None:
    weights, normalise = variable(3, 3, 8, 16), Statistics(16)
    constants = Constants()
    for batch in (1, 4):
        graph, _ = capture(lambda x: normalise(convolution(x, weights, **PLAIN)), Spec((batch, *IMAGE[1:]), FLOAT32))
        Plan(graph, constants=constants, frozen=True)
    assert len(constants._packed) == 1
    alive = [reference() for reference in constants._derived.values()]
    assert all(array is None or array.size == 16 for array in alive)  # the bias is read as it is


def test_arrays_of_equal_recipes_are_known_as_equal() -> None:
    constants = Constants()
    source = random(10, 10)
    calls = []

    def double() -> list[Any]:
        calls.append(1)
        return [source * 2, source * 3]

    first = constants.derive("double", [source], double)
    again = constants.derive("double", [source], double)
    assert len(calls) == 1
    assert all(a is b for a, b in zip(first, again, strict=True))
    recipe = constants.recipe(first[1])
    del first, again
    assert constants.recipe(constants.derive("double", [source], double)[1]) == recipe
    assert constants.recipe(source.copy()) == constants.recipe(source)
    assert constants.recipe(source + 1) != constants.recipe(source)
    constants.add_weights(source)
    assert constants.recipe(source.copy()) != constants.recipe(source)
    assert constants.recipe(np.float32([1, 2])) == constants.recipe(np.float32([1, 2]))
