"""Inference sessions: same answers as predict, for any number of rows, from any number of threads."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine as keras
from engine import InferenceSession, layers
from engine.inference.splitting import Splitter


def image_model() -> Any:
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            layers.Input((12, 12, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 8, 9, 31, 100])
def test_any_number_of_rows_gives_what_predict_gives(rows: int) -> None:
    model = image_model()
    x = np.random.default_rng(0).random((rows, 12, 12, 1), dtype=np.float32)
    session = InferenceSession(model, batch_sizes=(1, 8))
    result = session.run(x)
    assert result.shape == (rows, 5)
    if rows:
        np.testing.assert_allclose(result, model.predict(x, verbose=0), atol=1e-6)


def test_results_are_fresh_and_out_is_filled() -> None:
    session = InferenceSession(image_model(), batch_sizes=(2,))
    rng = np.random.default_rng(0)
    a, b = (rng.random((3, 12, 12, 1), dtype=np.float32) for _ in range(2))
    first = session.run(a)
    kept = first.copy()
    out = np.empty((3, 5), np.float32)
    assert session.run(b, out=out) is out
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(session.run(b), out)


def test_bytes_are_cast_as_predict_casts_them() -> None:
    model = image_model()
    x = np.random.default_rng(0).integers(0, 255, (4, 12, 12, 1), dtype=np.uint8)
    np.testing.assert_allclose(InferenceSession(model).run(x), model.predict(x, verbose=0), atol=1e-6)


def test_several_inputs_and_outputs_keep_their_nests() -> None:
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    joined = layers.Concatenate()([left, right])
    model = keras.Model({"left": left, "right": right}, {"sum": layers.Dense(1)(joined), "both": joined})
    x = {"left": np.ones((5, 3), np.float32), "right": np.zeros((5, 2), np.float32)}
    result = InferenceSession(model, batch_sizes=(2, 4)).run(x)
    expected = model.predict(x, verbose=0)
    assert sorted(result) == ["both", "sum"]
    for name in result:
        np.testing.assert_allclose(result[name], expected[name], atol=1e-6)


def test_dictionaries_match_by_name_whatever_the_order_of_the_inputs() -> None:
    second, first = keras.Input((2,), name="second"), keras.Input((2,), name="first")
    model = keras.Model([second, first], layers.Concatenate()([second, first]))
    x = {"first": np.ones((3, 2), np.float32), "second": np.full((3, 2), 2.0, np.float32)}
    result = InferenceSession(model).run(x)
    np.testing.assert_array_equal(result, [[2, 2, 1, 1]] * 3)
    np.testing.assert_array_equal(result, model.predict(x, verbose=0))


def test_a_subclassed_model_gets_its_nest_as_it_came() -> None:
    class Difference(keras.Model):
        def call(self, inputs: Any) -> Any:
            return inputs["b"] - inputs["a"]

    x = {"b": np.full((3, 2), 5.0, np.float32), "a": np.ones((3, 2), np.float32)}
    np.testing.assert_array_equal(InferenceSession(Difference()).run(x), np.full((3, 2), 4.0))


def test_weights_that_change_are_followed() -> None:
    model = image_model()
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).random((8, 12, 12, 1), dtype=np.float32)
    session = InferenceSession(model)
    before = session.run(x)
    model.fit(x, np.ones((8, 5), np.float32), epochs=3, verbose=0)
    after = session.run(x)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, model.predict(x, verbose=0), atol=1e-6)


def test_a_free_size_gets_a_plan_for_each_shape() -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs)))
    session = InferenceSession(model, batch_sizes=(1, 2))
    for size in (5, 9, 5, 7):
        x = np.random.default_rng(size).random((3, size, size + 1, 1), dtype=np.float32)
        np.testing.assert_allclose(session.run(x), model.predict(x, verbose=0), atol=1e-6)


class Branching(keras.Model):
    """A model whose Python looks at its data: no plan can be made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        y = self.dense(inputs)
        return y if float(keras.ops.sum(y)) > 0 else -y


def test_a_model_that_cannot_be_planned_runs_all_the_same_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    model = Branching()
    x = np.random.default_rng(0).random((4, 3), dtype=np.float32)
    expected = np.asarray(model(x))
    session = InferenceSession(model)
    for _ in range(2):
        np.testing.assert_allclose(session.run(x), expected, atol=1e-6)
    assert caplog.text.count("runs without a plan") == 1


def test_threads_get_their_own_answers() -> None:
    session = InferenceSession(image_model(), batch_sizes=(1, 4))
    rng = np.random.default_rng(0)
    inputs = [rng.random((rows, 12, 12, 1), dtype=np.float32) for rows in (1, 2, 4, 5, 9)]
    expected = [session.run(x) for x in inputs]
    wrong: list[int] = []

    def work(index: int) -> None:
        for _ in range(50):
            same = np.array_equal(session.run(inputs[index]), expected[index])
            wrong.extend([] if same else [index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_wrong_shapes_name_the_input_what_was_expected_and_what_came() -> None:
    session = InferenceSession(image_model())
    with pytest.raises(ValueError, match=r"\(None, 12, 12, 1\).*\(3, 10, 12, 1\)"):
        session.run(np.zeros((3, 10, 12, 1), np.float32))


@pytest.mark.parametrize("values", [["one"], [None], [1j]])
def test_what_is_no_number_is_named(values: Any) -> None:
    session = InferenceSession(keras.Sequential([keras.Input((1,)), layers.Dense(1)], name="small"))
    with pytest.raises(ValueError, match=r"'small' takes numbers, received an array of dtype"):
        session.run(np.array([values]))


def test_a_single_batch_size_and_numpys_integers_will_do() -> None:
    assert InferenceSession(image_model(), batch_sizes=4).batch_sizes == (4,)  # type: ignore[arg-type]
    assert InferenceSession(image_model(), batch_sizes=(np.int64(2), 1)).batch_sizes == (1, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("sizes", [(), (0,), (1.5,), (True,)])
def test_wrong_batch_sizes_are_refused(sizes: Any) -> None:
    with pytest.raises(ValueError, match="batch_sizes"):
        InferenceSession(image_model(), batch_sizes=sizes)


costs = st.dictionaries(st.sampled_from([1, 2, 3, 4, 8, 16]), st.floats(0.5, 20), min_size=1)


@given(costs, st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_rows_are_covered_at_the_least_cost(seconds: dict[int, float], rows: int) -> None:
    runs = Splitter(seconds).split(rows)
    assert sum(runs) >= rows
    if runs:
        assert sum(runs) - min(runs) < rows  # none is padded whole
    best = [0.0] * (rows + 1)
    for count in range(1, rows + 1):
        best[count] = min(cost + best[max(0, count - size)] for size, cost in seconds.items())
    if rows <= 8 * max(seconds):
        assert sum(seconds[size] for size in runs) == pytest.approx(best[rows])
