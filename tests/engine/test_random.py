"""Seed generators, steps and the global seed; `keras.random`'s functions."""

from __future__ import annotations

import random as python_random
from typing import Any

import numpy as np
import pytest

from engine import random as r
from engine.graph.compiled import CompiledFunction
from engine.tape import Tape
from engine.tensor import Tensor
from engine.variable import Variable


def counter(value: int = 0) -> Variable:
    return Variable(np.array(value, np.int32), trainable=False)


# Keys ---------------------------------------------------------------------------------------------------------------


def test_a_generator_counts_its_keys() -> None:
    generator = r.SeedGenerator(5)
    assert [generator.next().tolist()[:2] for _ in range(3)] == [[5, 0], [5, 1], [5, 2]]
    assert generator.state.numpy().tolist() == [5, 3]
    assert not generator.state.trainable


def test_a_generator_starts_with_what_its_seed_gives_alone() -> None:
    np.testing.assert_array_equal(r.normal((4,), seed=3).numpy(), r.normal((4,), seed=r.SeedGenerator(3)).numpy())
    generator = r.SeedGenerator(3)
    first, second = (r.normal((4,), seed=generator).numpy() for _ in range(2))
    assert (first != second).all()


def test_in_a_step_keys_depend_on_the_step_and_leave_the_state_alone() -> None:
    generator, iterations = r.SeedGenerator(5), counter(7)
    with r.step_scope(iterations):
        assert [generator.next().tolist() for _ in range(2)] == [[5, 7, 0], [5, 7, 1]]
    iterations.assign(8)
    with r.step_scope(iterations):
        assert generator.next().tolist() == [5, 8, 0]
        with r.step_scope(counter(1)):
            assert generator.next().tolist() == [5, 1, 0]
        assert generator.next().tolist() == [5, 8, 1]
    assert generator.state.numpy().tolist() == [5, 0]


def test_keys_of_steps_never_equal_keys_outside() -> None:
    generator = r.SeedGenerator(5)
    outside = generator.next().tolist()
    with r.step_scope(counter(0)):
        assert generator.next().tolist() != outside


def noisy(generators: list[r.SeedGenerator], iterations: Variable) -> Any:
    def step(x: Any) -> Any:
        with r.step_scope(iterations):
            drawn = [r.dropout(x, 0.5, seed=generator) for generator in (*generators, generators[0])]
        iterations.assign_add(1)
        return drawn

    return step


def test_a_captured_step_draws_what_an_eager_one_draws() -> None:
    x = np.ones((50,), np.float32)
    generators = [r.SeedGenerator(1), r.SeedGenerator(2)]
    compiled, eager = CompiledFunction(noisy(generators, counter()), name="step"), noisy(generators, counter())
    seen = []
    for _ in range(3):
        ours, theirs = compiled(x), [item.numpy() for item in eager(Tensor(x))]
        np.testing.assert_array_equal(ours, theirs)
        seen += [array.tobytes() for array in ours]
    assert not compiled.eager
    assert len(set(seen)) == 9  # three draws in each of three steps, all different


def test_a_run_resumed_at_a_step_draws_what_an_uninterrupted_one_draws() -> None:
    x = np.ones((50,), np.float32)
    whole = CompiledFunction(noisy([r.SeedGenerator(1)], counter()), name="whole")
    uninterrupted = [whole(x) for _ in range(4)]
    resumed = CompiledFunction(noisy([r.SeedGenerator(1)], counter(2)), name="resumed")
    np.testing.assert_array_equal([resumed(x) for _ in range(2)], uninterrupted[2:])


def test_a_plan_outside_of_steps_advances_the_generator() -> None:
    captured, eager = r.SeedGenerator(4), r.SeedGenerator(4)
    compiled = CompiledFunction(lambda x: r.dropout(x, 0.5, seed=captured), name="outside")
    x = np.ones((50,), np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(compiled(x), r.dropout(x, 0.5, seed=eager).numpy())
    assert captured.state.numpy().tolist() == eager.state.numpy().tolist() == [4, 3]


def test_drawing_under_a_tape_keeps_the_states_memory() -> None:
    generator = r.SeedGenerator(4)
    memory = generator.state.array
    with Tape():
        generator.next()
    assert generator.state.array is memory


# Seeds --------------------------------------------------------------------------------------------------------------


def test_the_global_seed_makes_everything_reproducible() -> None:
    def program() -> list[Any]:
        return [
            python_random.random(),
            np.random.random(),
            r.make_default_seed(),
            r.SeedGenerator().next().tolist(),
            r.normal((3,)).tolist(),
            r.uniform((3,)).tolist(),
        ]

    r.set_random_seed(11)
    first = program()
    r.set_random_seed(11)
    assert program() == first
    r.set_random_seed(12)
    assert all(a != b for a, b in zip(program(), first, strict=True))


def test_generators_without_a_seed_differ() -> None:
    assert r.SeedGenerator().state.numpy()[0] != r.SeedGenerator().state.numpy()[0]


def test_a_generator_is_written_and_read_as_keras_does() -> None:
    generator = r.SeedGenerator(5, name="mine")
    assert generator.get_config() == {"seed": 5, "name": "mine"}
    assert r.SeedGenerator.from_config(generator.get_config()).get_config() == generator.get_config()
    assert r.SeedGenerator(name="free").get_config() == {"seed": None, "name": "free"}


@pytest.mark.parametrize("seed", ["a", 1.5])
def test_seeds_are_integers(seed: Any) -> None:
    with pytest.raises(ValueError, match="integer"):
        r.SeedGenerator(seed)
    with pytest.raises(ValueError, match="SeedGenerator"):
        r.normal((2,), seed=seed)
    with pytest.raises(ValueError, match="integer"):
        r.set_random_seed(seed)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_have_32_bits(seed: int) -> None:
    with pytest.raises(ValueError, match=str(seed)):
        r.SeedGenerator(seed)


# Functions ----------------------------------------------------------------------------------------------------------


def test_parameters_may_be_tensors() -> None:
    mean = np.array([0.0, 100.0], np.float32)
    x = r.normal((1000, 2), mean=mean, stddev=np.array([1.0, 0.1], np.float32), seed=1).numpy()
    np.testing.assert_allclose(x.mean(axis=0), mean, atol=0.15)
    np.testing.assert_allclose(x.std(axis=0), [1, 0.1], rtol=0.1)
    y = r.uniform((1000, 2), minval=mean, maxval=mean + 1, seed=1).numpy()
    assert ((y >= mean) & (y <= mean + 1)).all()


def test_categorical_samples_follow_the_probabilities() -> None:
    probabilities = np.array([[0.1, 0.2, 0.7], [1.0, 0.0, 0.0]], np.float32)
    with np.errstate(divide="ignore"):
        samples = r.categorical(np.log(probabilities), 20_000, seed=1)
    assert (samples.shape, samples.dtype.name) == ((2, 20_000), "int32")
    for row, expected in zip(samples.numpy(), probabilities, strict=True):
        np.testing.assert_allclose(np.bincount(row, minlength=3) / 20_000, expected, atol=0.015)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        r.categorical(np.zeros(3, np.float32), 2)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_shuffling_reorders_along_one_axis(axis: int) -> None:
    x = np.arange(600).reshape(30, 20)
    y = r.shuffle(x, axis=axis, seed=2).numpy()
    assert (y != x).any()
    np.testing.assert_array_equal(np.sort(y, axis=axis), x)
    rest = 1 if axis == 0 else 0
    np.testing.assert_array_equal(np.sort(y.sum(axis=rest)), x.sum(axis=rest))


def test_other_distributions_take_shapes_and_dtypes() -> None:
    for x in (
        r.gamma((3, 2), 2.0, dtype="float64", seed=1),
        r.beta((3, 2), 2.0, 1.0, dtype="float64", seed=1),
        r.binomial((3, 2), 5, 0.5, dtype="float64", seed=1),
        r.truncated_normal((3, 2), dtype="float64", seed=1),
    ):
        assert (x.shape, x.dtype.name) == ((3, 2), "float64")


def test_dropout_completes_a_partial_noise_shape() -> None:
    y = r.dropout(np.ones((4, 10, 3), np.float32), 0.5, noise_shape=(None, 1, None), seed=1).numpy()
    assert (y == y[:, :1]).all()
    with pytest.raises(ValueError, match="3 lengths"):
        r.dropout(np.ones((4, 10, 3), np.float32), 0.5, noise_shape=(None, 1))


def test_wrong_dtypes_and_bounds_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"`keras\.random\.normal` requires a float `dtype`\. Received: dtype=int32"):
        r.normal((2,), dtype="int32")
    with pytest.raises(ValueError, match="requires an integer `dtype`"):
        r.randint((2,), 0, 4, dtype="float32")
    with pytest.raises(ValueError, match="minval=5, maxval=5"):
        r.randint((2,), 5, 5)
