"""What every layer does: variables, tracking, building, training, precision, losses, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine import layers, ops
from engine.graph.capture import capture
from engine.naming import reset_names
from engine.ops.operation import KerasTensor
from engine.primitives.primitive import Spec
from engine.registry import deserialize, register_keras_serializable, serialize
from engine.tape import Tape
from engine.variable import Variable

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


@register_keras_serializable("tests")
class Block(layers.Layer):
    """Layers in attributes, lists and dictionaries, without a build() of its own."""

    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.zeta = layers.Dense(units)
        self.branches = [layers.Dense(units), {"deep": layers.Dense(units)}]
        self._hidden = layers.BatchNormalization()
        self.alpha = layers.Dropout(0.5)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = self.alpha(self.zeta(inputs), training=training)
        return self._hidden(self.branches[0](x) + self.branches[1]["deep"](x))


def test_names_are_numbered_by_class() -> None:
    reset_names()
    assert [layers.Dense(1).name for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    assert [layers.ReLU().name, layers.Conv2D(1, 1).name] == ["re_lu", "conv2d"]


def test_variables_are_found_wherever_layers_lie() -> None:
    block = Block(name="block")
    block(X)
    paths = [v.path.split("/")[0] for v in block.weights]
    assert set(paths) == {"block"}
    # As the attributes were set: zeta, the two branches, the normalisation.
    assert [v.name for v in block.weights] == [
        *["kernel", "bias"] * 3, "gamma", "beta", "moving_mean", "moving_variance"
    ]  # fmt: skip
    assert len(block.trainable_variables) == 8
    assert len(block.variables) == len(block.weights) + 1  # the state of the dropout's generator


def test_layers_appended_later_are_tracked_too() -> None:
    block = Block()
    block.branches.append(layers.Dense(2))
    block.branches[-1].build((None, 3))
    assert any(v.shape == (3, 2) for v in block.weights)


def test_archive_children_are_sorted_with_private_names_last() -> None:
    assert list(Block().saveable_children()) == ["alpha", "branches", "zeta", "_hidden"]


def test_own_variables_travel_through_a_store() -> None:
    source, target = layers.BatchNormalization(), layers.BatchNormalization()
    for layer in (source, target):
        layer.build((None, 3))
    source.set_weights([np.full(3, index, np.float32) for index in range(4)])
    store: dict[str, Any] = {}
    source.save_own_variables(store)
    assert list(store) == ["0", "1", "2", "3"]
    target.load_own_variables(store)
    np.testing.assert_array_equal(target.moving_variance.numpy(), [3, 3, 3])
    with pytest.raises(ValueError, match="expects 4 variables, but 3 were saved"):
        target.load_own_variables({key: store[key] for key in "012"})
    with pytest.raises(ValueError, match=r"gamma.*\(3,\).*\(2,\)"):
        target.load_own_variables({**store, "0": np.zeros(2)})


def test_freezing_moves_variables_without_changing_their_order() -> None:
    block = Block()
    block(X)
    before = [id(v) for v in block.weights]
    block.trainable = False
    assert block.trainable_variables == []
    assert [id(v) for v in block.weights] == before
    assert not block.zeta.trainable
    block.trainable = True
    assert len(block.trainable_weights) == 8
    block.zeta.trainable = False
    assert len(block.trainable_weights) == 6


def test_weights_are_set_all_or_none() -> None:
    layer = layers.Dense(2)
    layer.build((None, 3))
    kernel = layer.kernel.numpy()
    with pytest.raises(ValueError, match=r"bias.*\(2,\).*\(5,\)"):
        layer.set_weights([np.zeros((3, 2)), np.zeros(5)])
    with pytest.raises(ValueError, match="expects 2 weights, received 1"):
        layer.set_weights([np.zeros((3, 2))])
    np.testing.assert_array_equal(layer.kernel.numpy(), kernel)


def test_symbolic_calls_build_inner_layers_for_free_batches() -> None:
    block = Block()
    y = block(KerasTensor((None, 6)))
    assert y.shape == (None, 3)
    assert block.get_build_config() == {"input_shape": (None, 6)}
    assert block.zeta.get_build_config() == {"input_shape": (None, 6)}
    assert block.losses == []


def test_a_composite_layer_comes_back_from_its_config_with_its_variables() -> None:
    block = Block(4, name="b")
    block(X)
    again = deserialize(serialize(block))
    assert isinstance(again, Block)
    assert [v.shape for v in again.weights] == [v.shape for v in block.weights]
    again.set_weights(block.get_weights())
    np.testing.assert_array_equal(again(X).numpy(), block(X).numpy())


class TwoInputs(layers.Layer):
    def build(self, a_shape: Any, b_shape: Any) -> None:
        self.kernel = self.add_weight((a_shape[-1], b_shape[-1]))

    def call(self, a: Any, b: Any, scale: float = 1.0) -> Any:
        return ops.matmul(a, self.kernel) * b * scale


def test_build_gets_the_shapes_of_the_arguments_it_names() -> None:
    layer = TwoInputs()
    assert layer(X, b=np.ones((4, 2), np.float32), scale=2.0).shape == (4, 2)
    config = layer.get_build_config()
    assert config == {"shapes_dict": {"a_shape": (4, 6), "b_shape": (4, 2)}}
    again = TwoInputs()
    again.build_from_config({"shapes_dict": {"a_shape": [4, 6], "b_shape": [4, 2]}})
    assert again.kernel.shape == (6, 2)


class Mode(layers.Layer):
    """Gives back the `training` that reached it."""

    def __init__(self, inner: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner
        self.seen: list[Any] = []

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        self.seen.append(training)
        return inputs if self.inner is None else self.inner(inputs)


def test_training_reaches_inner_layers_unless_they_are_told_otherwise() -> None:
    inner = Mode()
    outer = Mode(inner)
    outer(X, training=True)
    outer(X)
    outer(X, training=False)
    inner(X, training=True)
    assert inner.seen == [True, None, False, True]


def test_dropout_acts_only_while_training_and_keeps_the_mean() -> None:
    layer = layers.Dropout(0.25, seed=1)
    ones = np.ones((200, 200), np.float32)
    np.testing.assert_array_equal(layer(ones).numpy(), ones)
    dropped = layer(ones, training=True).numpy()
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(dropped.mean() - 1) < 0.02
    assert not np.array_equal(dropped, layer(ones, training=True).numpy())
    np.testing.assert_array_equal(layers.Dropout(0.25, seed=1)(ones, training=True).numpy(), dropped)


def test_spatial_dropout_drops_whole_channels() -> None:
    result = layers.SpatialDropout2D(0.5, seed=2)(np.ones((4, 5, 6, 16), np.float32), training=True).numpy()
    assert (result == result[:, :1, :1]).all()
    assert 0 < (result[:, 0, 0] == 0).sum() < 64


def test_noise_layers_have_their_moments() -> None:
    zeros, ones = np.zeros((100, 100), np.float32), np.ones((100, 100), np.float32)
    assert abs(layers.GaussianNoise(2.0, seed=3)(zeros, training=True).numpy().std() - 2) < 0.1
    noisy = layers.GaussianDropout(0.5, seed=3)(ones, training=True).numpy()
    assert abs(noisy.mean() - 1) < 0.05
    assert abs(noisy.std() - 1) < 0.05


def test_losses_come_from_calls_activities_and_weights() -> None:
    class Penalised(layers.Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(ops.sum(inputs))
            return inputs

    class Outer(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.penalised = Penalised(activity_regularizer="l1")
            self.dense = layers.Dense(2, kernel_regularizer="l2", kernel_initializer="ones")

        def call(self, inputs: Any) -> Any:
            return self.dense(self.penalised(inputs))

    outer = Outer()
    ones = np.ones((4, 3), np.float32)
    for _ in range(2):  # the second call replaces the first's
        outer(ones)
        np.testing.assert_allclose([loss.numpy() for loss in outer.losses], [12.0, 0.01 * 12 / 4, 0.01 * 6], rtol=1e-6)
    outer.dense.trainable = False
    assert len(outer.losses) == 2


def test_mixed_precision_computes_in_half_and_keeps_full_gradients() -> None:
    layer = layers.Dense(3, dtype="mixed_bfloat16")
    with Tape() as tape:
        outputs = layer(X)
        loss = ops.sum(ops.cast(outputs, "float32"))
    assert outputs.dtype.name == "bfloat16"
    gradient = tape.gradient(loss, [layer.kernel])[0]
    assert layer.kernel.dtype == np.float32
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient.numpy(), np.tile(X.sum(0)[:, None], 3), rtol=0.05, atol=0.05)


def test_unbuilt_layers_can_be_captured() -> None:
    layer = layers.Dense(3)
    graph, _ = capture(layer, Spec((4, 6), np.dtype(np.float32)))
    assert layer.built
    assert set(graph.variables.values()) == set(layer.weights)


def test_captured_batch_normalization_assigns_its_statistics_in_the_graph() -> None:
    layer = layers.BatchNormalization()
    layer.build((None, 6))
    before = layer.moving_mean.numpy()
    graph, _ = capture(lambda x: layer(x, training=True), Spec((4, 6), np.dtype(np.float32)))
    assert set(graph.assignments) == {layer.moving_mean, layer.moving_variance}
    np.testing.assert_array_equal(layer.moving_mean.numpy(), before)


def test_variables_set_as_attributes_belong_to_the_layer() -> None:
    class Own(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.counter = Variable(0, trainable=False)
            self.scale = Variable(np.float32(2))

        def call(self, inputs: Any) -> Any:
            return inputs * self.scale

    layer = Own()
    assert layer.trainable_variables == [layer.scale]
    assert layer.non_trainable_variables == [layer.counter]


def test_count_params_needs_a_built_layer() -> None:
    with pytest.raises(ValueError, match="'d' is not built"):
        layers.Dense(2, name="d").count_params()


def test_the_output_shape_can_be_asked_for() -> None:
    assert layers.Conv2D(8, 3, padding="same")
    assert layers.Conv2D(8, 3, strides=2).compute_output_shape((None, 28, 28, 1)) == (None, 13, 13, 8)
    assert layers.Concatenate().compute_output_shape([(None, 3), (None, 4)]) == (None, 7)


def test_compute_output_shape_stands_in_for_a_call_that_cannot_be_traced() -> None:
    class Opaque(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return ops.convert_to_tensor(np.asarray(inputs)[:, :2])

        def compute_output_shape(self, input_shape: Any) -> Any:
            return (input_shape[0], 2)

    assert Opaque()(KerasTensor((None, 6))).shape == (None, 2)
    assert Opaque()(X).shape == (4, 2)
    del Opaque.compute_output_shape
    with pytest.raises(ValueError, match="compute_output_shape"):
        Opaque()(KerasTensor((None, 6)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.Conv2D(8, 3, name="c")(np.ones((2, 28, 28), np.float32)), "'c'.*expected ndim=4, found ndim=3"),
        (lambda: layers.Conv2D(8, 3, groups=2, name="c")(np.ones((2, 9, 9, 3), np.float32)), "'c'.*groups=2.*3"),
        (lambda: layers.Conv2D(8, 9, name="c")(np.ones((2, 4, 4, 3), np.float32)), "'c'"),
        (lambda: layers.Conv2D(8, 3, padding="sam", name="c"), "'c'.*padding.*'sam'"),
        (lambda: layers.Conv2D(8, 3, strides=2, dilation_rate=2, name="c"), "'c'.*strides.*dilation"),
        (lambda: layers.Conv2D(0, 3, name="c"), "'c'.*filters.*0"),
        (lambda: layers.Dense(-1, name="d"), "'d'.*units.*-1"),
        (lambda: layers.Dense(2, name="d")(np.ones(3, np.float32)), "'d'.*min_ndim=2.*ndim=1"),
        (lambda: layers.Dense(2, name="d")(KerasTensor((None, None))), "'d' needs a known last axis"),
        (lambda: layers.Dense(2, activation="rleu"), "activation function identifier: 'rleu'"),
        (lambda: layers.Dense(2, kernel_initializer="he"), "initializer identifier: 'he'"),
        (lambda: layers.Dense(2, unit=3), "Dense.*unit"),
        (lambda: layers.Dropout(1.5, name="d"), "'d'.*rate.*1.5"),
        (lambda: layers.Add(name="a")([np.ones((2, 3)), np.ones((2, 4))]), "'a'.*cannot be merged"),
        (lambda: layers.Add(name="a")(X), "'a' expects a list"),
        (lambda: layers.Concatenate(name="c")([np.ones((2, 3, 1)), np.ones((2, 4, 1))]), "'c'.*except along axis -1"),
        (lambda: layers.Reshape((7,), name="r")(X), r"'r'.*\(4, 6\).*\(4, ?7\)"),
        (lambda: layers.Input(), "needs a `shape`"),
        (lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"dmax": -1}, name="b"), "'b'.*renorm"),
    ],
)
def test_wrong_arguments_and_inputs_name_the_layer(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_a_second_call_on_other_channels_is_refused() -> None:
    layer = layers.Dense(2, name="head")
    layer(X)
    with pytest.raises(ValueError, match=r"'head'.*axis -1.*value 6.*\(4, 5\)"):
        layer(X[:, :5])


def test_forgetting_the_parents_constructor_is_explained() -> None:
    class Forgetful(layers.Layer):
        def __init__(self) -> None:
            self.units = 3

    with pytest.raises(RuntimeError, match=r"super\(\)\.__init__"):
        Forgetful()(X)


def test_input_makes_a_placeholder_that_knows_its_layer() -> None:
    x = layers.Input((28, 28, 1), name="image", dtype="uint8")
    assert (x.shape, x.dtype.name, x.name) == ((None, 28, 28, 1), "uint8", "image")
    assert x.history.operation.get_config() == {
        "batch_shape": (None, 28, 28, 1), "dtype": "uint8", "sparse": False, "ragged": False, "name": "image",
        "optional": False,
    }  # fmt: skip


def test_rescaling_takes_bytes() -> None:
    result = layers.Rescaling(1 / 255)(np.array([[0, 255]], np.uint8))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.numpy(), [[0, 1]], rtol=1e-6)


def test_masked_average_pooling_ignores_masked_steps() -> None:
    x = np.arange(12, dtype=np.float32).reshape(1, 4, 3)
    mask = np.array([[True, True, False, False]])
    np.testing.assert_allclose(layers.GlobalAveragePooling1D()(x, mask=mask).numpy(), x[:, :2].mean(1))


@pytest.mark.parametrize(
    ("expected", "received", "fits"),
    [
        ((None,), (1,), True),
        ((None, 1), (5,), True),
        ((None, 3), (5, 3, 1), True),
        ((None, 3), (5, 4, 1), False),
        ((None, 3), (5, 4), False),
    ],
)
def test_a_last_axis_of_length_one_may_be_missing_or_there(
    expected: tuple[int | None, ...], received: tuple[int, ...], fits: bool
) -> None:
    spec = layers.InputSpec(shape=expected, allow_last_axis_squeeze=True)
    assert (spec.problem(received, "float32") is None) == fits
