"""Sessions of unusual models, and unusual use of sessions: nothing fails or differs that `predict` does right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import engine as keras
from engine import InferenceSession, Variable, layers, ops

rng = np.random.default_rng(5)


def random(*shape: int) -> np.ndarray[Any, Any]:
    return rng.normal(size=shape).astype(np.float32)


class Counting(layers.Layer):
    """Counts its calls in a variable that it assigns, and multiplies by the count."""

    def build(self, input_shape: Any) -> None:
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        self.calls.assign_add(1.0)
        return x * self.calls


def dense_model() -> Any:
    keras.utils.set_random_seed(1)
    return keras.Sequential([layers.Input((4,)), layers.Dense(3)])


@pytest.mark.parametrize("biases", [(False, False), (True, False), (False, True), (True, True)])
def test_pointwise_and_depthwise_layers_with_and_without_biases(biases: tuple[bool, bool]) -> None:
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            layers.Input((56, 56, 16)),
            layers.Conv2D(96, 1, use_bias=biases[0]),
            layers.ReLU(6.0),
            layers.DepthwiseConv2D(3, padding="same", use_bias=biases[1]),
            layers.GlobalAveragePooling2D(),
        ]
    )
    x = random(8, 56, 56, 16)
    expected = np.asarray(model(x))
    np.testing.assert_allclose(InferenceSession(model, batch_sizes=(8,)).run(x), expected, atol=1e-5)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)


def test_warming_up_leaves_assigned_variables_alone_and_runs_go_on_counting() -> None:
    model = keras.Sequential([layers.Input((2,)), Counting()])
    session = InferenceSession(model, batch_sizes=(1, 2))
    x = np.ones((1, 2), np.float32)
    assert [float(session.run(x)[0, 0]) for _ in range(4)] == [1, 2, 3, 4]
    session.describe(profile=True, print_fn=lambda text: None)
    assert float(session.run(x)[0, 0]) == 5


def test_variables_that_the_model_does_not_own_are_followed_too() -> None:
    kernel = Variable(random(3, 3, 4, 16))

    class Borrowing(layers.Layer):
        def call(self, x: Any) -> Any:
            return ops.conv(x, kernel)

    model = keras.Sequential([layers.Input((8, 8, 4)), Borrowing()])
    session = InferenceSession(model, batch_sizes=(2,))
    x = random(2, 8, 8, 4)
    before = session.run(x)
    kernel.assign(kernel.numpy() * 3)
    np.testing.assert_allclose(session.run(x), 3 * before, rtol=1e-4, atol=1e-4)


def test_layers_that_change_are_followed() -> None:
    model = dense_model()
    session = InferenceSession(model, batch_sizes=(2,))
    x = random(2, 4)
    session.run(x)
    model.add(layers.Dense(2))
    np.testing.assert_allclose(session.run(x), model.predict(x, verbose=0), atol=1e-6)


def test_a_model_that_trains_unless_told_otherwise_is_told_otherwise() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.drop, self.dense = layers.Dropout(0.5), layers.Dense(3)

        def call(self, x: Any, training: bool = True) -> Any:
            return self.drop(self.dense(x), training=training)

    model = Own()
    x = random(6, 4)
    np.testing.assert_allclose(
        InferenceSession(model, batch_sizes=(6,)).run(x), model.predict(x, verbose=0), atol=1e-6
    )  # fmt: skip


def test_an_output_that_is_nothing_stays_nothing() -> None:
    class Partial(keras.Model):
        def call(self, x: Any) -> Any:
            return {"sum": ops.sum(x, axis=-1), "nothing": None}

    result = InferenceSession(Partial(), batch_sizes=(2,)).run(random(3, 4))
    assert result["nothing"] is None
    assert result["sum"].shape == (3,)


def test_a_missing_last_axis_is_added_as_predict_adds_it() -> None:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([layers.Input((6, 6, 1)), layers.Conv2D(2, 3)])
    x = random(3, 6, 6)
    np.testing.assert_allclose(InferenceSession(model).run(x), model.predict(x, verbose=0), atol=1e-6)


@pytest.mark.parametrize(
    ("out", "received"),
    [
        (np.empty((9, 3), np.float32), r"\(9, 3\)"),
        (np.empty((7, 3), np.float32), r"\(7, 3\)"),
        (np.empty((3, 8, 3), np.float32), r"\(3, 8, 3\)"),
        (np.empty((8, 3), np.int32), "int32"),
        ([np.empty((8, 3), np.float32)] * 2, "2"),
        ([], "0"),
        ([[0.0] * 3] * 8, "24"),
        ("x", "str"),
    ],
    ids=["rows too many", "rows too few", "axis too many", "integers", "two arrays", "nothing", "a list", "text"],
)
@pytest.mark.parametrize("batch_sizes", [(8,), (5,)])
def test_out_that_cannot_hold_the_result_is_refused_before_anything_runs(
    out: Any, received: str, batch_sizes: tuple[int, ...]
) -> None:
    session = InferenceSession(dense_model(), batch_sizes=batch_sizes)
    with pytest.raises(ValueError, match=rf"out: expected.*{received}"):
        session.run(random(8, 4), out=out)


def test_out_of_a_wider_type_is_filled() -> None:
    session = InferenceSession(dense_model(), batch_sizes=(5,))
    x = random(8, 4)
    out = np.empty((8, 3), np.float64)
    assert session.run(x, out=out) is out
    np.testing.assert_allclose(out, session.run(x))


def test_a_profile_of_a_model_with_integer_inputs_is_printed() -> None:
    model = keras.Sequential([layers.Input((5,), dtype="int32"), layers.Embedding(50, 8), layers.Dense(3)])
    session = InferenceSession(model, batch_sizes=(1, 4))
    session.run(rng.integers(0, 50, (4, 5)))
    texts: list[str] = []
    rows = session.describe(profile=True, batch_size=4, print_fn=texts.append)
    assert {"primitive", "kernel", "implementation", "inputs", "outputs", "bytes", "milliseconds"} <= set(rows[0])
    assert all(row["primitive"] in texts[0] for row in rows)
    with pytest.raises(ValueError, match=r"batch_size.*\[1, 4\].*77"):
        session.describe(batch_size=77)


def test_a_model_of_one_batch_size_gets_that_one() -> None:
    model = keras.Sequential([layers.Input(batch_shape=(2, 5, 3)), layers.LSTM(4, stateful=True)])
    assert InferenceSession(model).batch_sizes == (2,)
    with pytest.raises(ValueError, match=r"batches of 2 alone.*\(1, 4\)"):
        InferenceSession(model, batch_sizes=(1, 4))


@pytest.mark.parametrize("sizes", [{1, 8}, np.array([8, 1]), range(1, 9, 7)], ids=str)
def test_batch_sizes_come_in_any_container(sizes: Any) -> None:
    assert InferenceSession(dense_model(), batch_sizes=sizes).batch_sizes == (1, 8)


def test_constants_of_recurring_shapes_do_not_pile_up() -> None:
    class Positions(layers.Layer):
        def call(self, x: Any) -> Any:
            return x + np.arange(x.shape[1] * 64, dtype=np.float32).reshape(x.shape[1], 64)

    model = keras.Sequential([layers.Input((None, 64)), Positions()])
    session = InferenceSession(model, batch_sizes=(1,))
    for _ in range(3):
        for length in range(10, 30):  # more shapes than a session keeps plans for
            session.run(np.zeros((1, length, 64), np.float32))
    assert not session._constants._weights
    assert not session._constants._packed


@pytest.mark.parametrize("model", ["model.keras", layers.Dense(3), len], ids=["a path", "a layer", "a function"])
def test_what_is_no_model_is_named(model: Any) -> None:
    with pytest.raises(TypeError, match=r"Expected a model of this engine.*load_model.*Received"):
        InferenceSession(model)
    with pytest.raises(TypeError, match="Expected a model of this engine"):
        keras.inference.calibrate(model, random(2, 4))


def test_a_description_without_a_plan_says_why() -> None:
    texts: list[str] = []
    session = InferenceSession(keras.Sequential([layers.Dense(3)]))
    assert session.describe(print_fn=texts.append) == []
    assert "no plan yet" in texts[0]
    session.run(random(2, 4))
    assert session.describe(print_fn=texts.append)


def test_nested_lists_of_numbers_get_a_short_error() -> None:
    with pytest.raises(ValueError, match="make an array first") as raised:
        InferenceSession(keras.Sequential([layers.Dense(3)])).run(random(9, 40).tolist())
    assert len(str(raised.value)) < 300


def test_a_missing_calibration_file_says_how_to_make_one(tmp_path: Any) -> None:
    with pytest.raises(FileNotFoundError, match=r"engine\.inference\.calibrate"):
        InferenceSession(dense_model(), precision="int8", calibration=tmp_path / "none.json")


def test_a_calibration_shows_itself_in_one_line() -> None:
    assert len(repr(keras.inference.calibrate(dense_model(), random(8, 4)))) < 200
