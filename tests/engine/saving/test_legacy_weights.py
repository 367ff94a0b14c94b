"""`.h5` files: the weights in them, by order and by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import engine
from tests.engine.saving.archives import small_model
from tests.engine.saving.legacy_files import (
    _in_file_order,
    assert_small,
    dense_model,
    emptied,
    small_weights,
    weights_of,
    write_layers,
)


def test_weights_are_read_in_order_whatever_the_layers_are_called(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5", lambda layers: layers.update(another=layers.pop("last")))
    model = emptied(small_model())
    model.load_weights(path)
    assert_small(model)


def test_lists_that_were_cut_into_parts_are_joined(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5")
    with h5py.File(path, "r+") as file:
        for holder, attribute in ((file, "layer_names"), (file["normal"], "weight_names")):
            names = holder.attrs[attribute]
            del holder.attrs[attribute]
            holder.attrs[f"{attribute}0"], holder.attrs[f"{attribute}1"] = names[:1], names[1:]
    model = emptied(small_model())
    model.load_weights(path)
    assert_small(model)


def test_a_whole_models_file_gives_its_weights_alone(tmp_path: Path) -> None:
    model = engine.Sequential([engine.Input((3,)), engine.layers.Dense(2)])
    model.load_weights(dense_model(tmp_path / "m.h5"))
    np.testing.assert_array_equal(model.get_weights()[1], [1, -50])


def test_the_format_is_told_by_what_the_file_holds_not_by_its_name(tmp_path: Path) -> None:
    small_weights(tmp_path / "w.weights.h5")
    small_model().save_weights(tmp_path / "m.weights.h5")
    (tmp_path / "m.weights.h5").rename(tmp_path / "m.h5")
    for name in ("w.weights.h5", "m.h5"):
        model = emptied(small_model())
        model.load_weights(tmp_path / name)
        assert_small(model)


def _inner(names: tuple[str, str] = ("d", "n")) -> Any:
    layers = engine.layers
    return engine.Sequential(
        [engine.Input((3,)), layers.Dense(3, name=names[0]), layers.BatchNormalization(name=names[1])], name="inner"
    )


def _outer(inner: Any) -> Any:
    return engine.Sequential([engine.Input((3,)), inner, engine.layers.Dense(3, name="last")])


@pytest.mark.parametrize("frozen", ["nothing", "d", "n"])
@pytest.mark.parametrize("names", [("d", "n"), ("other", "names")])
def test_a_nested_model_gets_its_weights_whatever_was_frozen(
    frozen: str, names: tuple[str, str], tmp_path: Path
) -> None:
    model = _outer(_inner())
    values = [np.full(weight.shape, number, np.float32) for number, weight in enumerate(model.get_weights())]
    model.set_weights(values)
    if frozen != "nothing":
        model.layers[0].get_layer(frozen).trainable = False
    layers = weights_of(model)
    layers["inner"] = {f"{weight.path}:0": weight.numpy() for weight in _in_file_order(model.layers[0])}
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write_layers(file, layers)
    fresh = _outer(_inner(names))
    if frozen == "d" and names != ("d", "n"):
        with pytest.raises(ValueError, match="freeze the same layers"):
            fresh.load_weights(tmp_path / "w.h5")
        fresh.layers[0].layers[0].trainable = False
    fresh.load_weights(tmp_path / "w.h5")
    for left, right in zip(fresh.get_weights(), values, strict=True):
        np.testing.assert_array_equal(left, right)


def test_kernels_of_theano_are_turned_around(tmp_path: Path) -> None:
    model = small_model()
    model.set_weights([np.arange(weight.size).reshape(weight.shape) for weight in model.get_weights()])
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write_layers(file, weights_of(model))
        file.attrs["backend"] = b"theano"
    read = small_model()
    read.load_weights(tmp_path / "w.h5")
    np.testing.assert_array_equal(read.get_weights()[0], model.get_weights()[0][::-1, ::-1])
    for left, right in zip(read.get_weights()[1:], model.get_weights()[1:], strict=True):
        np.testing.assert_array_equal(left, right)


def test_by_name_takes_the_layers_that_the_file_knows_and_leaves_the_others(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5", lambda layers: layers.update(another=layers.pop("last")))
    model = emptied(small_model())
    model.load_weights(path, by_name=True)
    np.testing.assert_array_equal(model.get_layer("first").get_weights()[0], small_model().get_weights()[0])
    np.testing.assert_array_equal(model.get_layer("last").get_weights()[0], 1.0)


def test_by_name_without_any_common_name_is_an_error(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5")
    model = engine.Sequential([engine.Input((3,)), engine.layers.Dense(2, name="other")])
    with pytest.raises(ValueError, match="no layer of the model; it has first, normal, flat, last"):
        model.load_weights(path, by_name=True)


def test_by_name_is_refused_for_files_of_keras_3(tmp_path: Path) -> None:
    small_model().save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match="by_name=True"):
        small_model().load_weights(tmp_path / "m.weights.h5", by_name=True)


def _misfit(layers: dict[str, dict[str, Any]]) -> None:
    layers["first"]["first/kernel:0"] = np.zeros((3, 3, 1, 4), np.float32)
    del layers["last"]["last/bias:0"]


def test_every_mismatch_is_listed_and_nothing_changes(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5", _misfit)
    model = emptied(small_model())
    with pytest.raises(ValueError, match="2 mismatches") as caught:
        model.load_weights(path)
    text = str(caught.value)
    assert "first/kernel has shape (3, 3, 1, 2), the saved first/kernel:0 (3, 3, 1, 4)" in text
    assert "'last' expects 2 weights" in text
    assert "last/bias" in text
    assert all(np.all(weight == 1.0) for weight in model.get_weights())


def test_mismatches_are_skipped_where_that_is_asked_for(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5", _misfit)
    model = emptied(small_model())
    with pytest.warns(UserWarning, match="2 mismatches"):
        model.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(model.get_layer("first").get_weights()[0], 1.0)
    np.testing.assert_array_equal(model.get_layer("first").get_weights()[1], small_model().get_weights()[1])


def test_weights_that_the_file_lists_nowhere_are_named(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5")
    with h5py.File(path, "r+") as file:
        file["last/more"] = file["forgotten/kernel:0"] = np.zeros(3)
    with pytest.raises(ValueError, match="lists names: forgotten/kernel:0, last/more"):
        small_model().load_weights(path)
    small_model().load_weights(path, by_name=True)


def test_layers_left_over_are_named_on_both_sides(tmp_path: Path) -> None:
    path = small_weights(
        tmp_path / "w.h5", lambda layers: (layers.pop("normal"), layers.update(end=layers.pop("last")))
    )
    with pytest.raises(ValueError, match="3 layers with weights, the file 2") as caught:
        small_model().load_weights(path)
    assert "only the model has normal, last" in str(caught.value)
    assert "only the file has end" in str(caught.value)


def test_a_model_that_is_not_built_says_so(tmp_path: Path) -> None:
    model = engine.Sequential([engine.layers.Dense(2)])
    with pytest.raises(ValueError, match="not built"):
        model.load_weights(dense_model(tmp_path / "m.h5"))
