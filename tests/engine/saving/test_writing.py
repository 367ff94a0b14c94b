"""Files appear whole or not at all, under the permissions and names that were asked for."""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import engine
from engine.models import load_model
from tests.engine.saving.archives import small_archive, small_model

SAVERS: dict[str, tuple[str, Callable[[Any, Path], None]]] = {
    "archive": ("m.keras", lambda model, path: model.save(path)),
    "weights": ("m.weights.h5", lambda model, path: model.save_weights(path)),
}


@pytest.fixture(params=SAVERS)
def saver(request: pytest.FixtureRequest) -> tuple[str, Callable[[Any, Path], None]]:
    return SAVERS[request.param]


@contextmanager
def _files_limited(size: int) -> Iterator[None]:
    """The system refuses to let files grow beyond `size` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_a_failing_write_leaves_the_old_file_and_nothing_else(saver: Any, tmp_path: Path) -> None:
    name, save = saver
    save(small_model(), tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with _files_limited(1000), pytest.raises(OSError) as caught:
        save(small_model(), tmp_path / name)
    assert caught.value.errno == errno.EFBIG
    assert (tmp_path / name).read_bytes() == before
    assert os.listdir(tmp_path) == [name]


def test_a_model_that_cannot_be_saved_leaves_the_old_file(tmp_path: Path) -> None:
    path = small_archive(tmp_path / "m.keras")
    before = path.read_bytes()
    inputs = engine.Input((2,))
    model = engine.Sequential([inputs, engine.layers.Dense(2, activation=lambda x: x)])
    with pytest.raises(ValueError, match="lambda"):
        model.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.keras"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_new_files_get_the_permissions_that_the_umask_leaves(mask: int, saver: Any, tmp_path: Path) -> None:
    name, save = saver
    with _umask(mask):
        save(small_model(), tmp_path / name)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~mask


def test_a_replaced_file_keeps_its_permissions(saver: Any, tmp_path: Path) -> None:
    name, save = saver
    save(small_model(), tmp_path / name)
    (tmp_path / name).chmod(0o640)
    save(small_model(), tmp_path / name)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640


def test_a_link_is_followed(tmp_path: Path) -> None:
    path = small_archive(tmp_path / "first.keras")
    (tmp_path / "latest.keras").symlink_to(path)
    model = small_model()
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    model.save(tmp_path / "latest.keras")
    assert (tmp_path / "latest.keras").is_symlink()
    assert not any(weight.any() for weight in load_model(path).get_weights())


def test_a_reader_of_the_old_file_keeps_what_it_opened(tmp_path: Path) -> None:
    path = small_archive(tmp_path / "m.keras")
    before = path.read_bytes()
    with path.open("rb") as stream:
        small_model().save(path)
        assert stream.read() == before


def test_overwrite_false_leaves_what_is_there(saver: Any, tmp_path: Path) -> None:
    name, _ = saver
    (tmp_path / name).write_bytes(b"precious")
    model = small_model()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        (model.save if name.endswith(".keras") else model.save_weights)(tmp_path / name, overwrite=False)
    assert (tmp_path / name).read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["m", "m.onnx", "m.keras.zip", "m.weights.h5"])
def test_a_model_is_saved_under_its_own_ending_only(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in '\.keras'"):
        small_model().save(tmp_path / name)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["m", "m.h5", "m.keras", "weights.h5x"])
def test_weights_are_saved_under_their_own_ending_only(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in '\.weights\.h5'"):
        small_model().save_weights(tmp_path / name)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64", "mixed_bfloat16"])
def test_variables_of_every_precision_come_back_as_they_were(dtype: str, tmp_path: Path) -> None:
    layers = engine.layers
    model = engine.Sequential(
        [engine.Input((3,)), layers.Dense(4, dtype=dtype), layers.BatchNormalization(dtype=dtype)]
    )
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape).astype(w.dtype) for w in model.get_weights()])
    model.save(tmp_path / "m.keras")
    opened = load_model(tmp_path / "m.keras")
    wanted = {"mixed_bfloat16": np.float32, "bfloat16": ml_dtypes.bfloat16}.get(dtype, dtype)
    for left, right in zip(model.get_weights(), opened.get_weights(), strict=True):
        assert left.dtype == right.dtype == np.dtype(wanted)
        np.testing.assert_array_equal(left, right)


def test_bfloat16_optimizer_slots_come_back(tmp_path: Path) -> None:
    model = engine.Sequential([engine.Input((3,)), engine.layers.Dense(2, dtype="bfloat16")])
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 3), np.float32), np.zeros((2, 2), np.float32))
    model.save(tmp_path / "m.keras")
    opened = load_model(tmp_path / "m.keras")
    assert any(variable.dtype == ml_dtypes.bfloat16 for variable in opened.optimizer.variables)
    for left, right in zip(model.optimizer.variables, opened.optimizer.variables, strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left.numpy(), right.numpy())


def test_a_folder_is_written_over_and_stays_a_folder(tmp_path: Path) -> None:
    small_model().save(tmp_path / "folder.keras", zipped=False)
    model = small_model()
    model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
    model.save(tmp_path / "folder.keras")
    assert sorted(os.listdir(tmp_path / "folder.keras")) == ["config.json", "metadata.json", "model.weights.h5"]
    assert all(np.all(weight == 1) for weight in load_model(tmp_path / "folder.keras").get_weights())


class _Bare(engine.layers.Layer):
    """Takes its own setting alone."""

    def __init__(self, factor: float) -> None:
        super().__init__(activity_regularizer="l2")
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor


class _BareModel(engine.Model):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.scale = _Bare(2.0)
        self.dense = engine.layers.Dense(units)
        self.dense.trainable = False

    def call(self, inputs: Any) -> Any:
        return self.dense(self.scale(inputs))


def test_constructors_need_not_take_what_every_layer_has(tmp_path: Path) -> None:
    x = np.ones((2, 3), np.float32)
    model = _BareModel(4)
    expected = model(x).numpy()
    model.save(tmp_path / "m.keras")
    loaded = load_model(tmp_path / "m.keras", custom_objects={"_BareModel": _BareModel})
    np.testing.assert_array_equal(loaded(x).numpy(), expected)
    assert (loaded.name, loaded.trainable, loaded.dense.trainable) == (model.name, True, False)

    layer = _Bare(3.0)
    layer.trainable = False
    layer.dtype_policy = "float16"
    again = _Bare.from_config(layer.get_config())
    assert (again.name, again.trainable, again.dtype, again.factor) == (layer.name, False, "float16", 3.0)
    assert again.get_config() == layer.get_config()
