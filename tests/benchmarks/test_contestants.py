"""The benchmarks' own contestants, each in its process, with networks small enough for every test run."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import layers
from tests.benchmarks import imported, inference, training
from tests.benchmarks.contestant import ContestantError, Entry, difference, start_all, started
from tests.benchmarks.networks.keras_networks import trained
from tests.benchmarks.networks.weights import fill, images, measure_statistics, write_weights
from tests.benchmarks.startup import SAMPLES, drift, worker

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def network() -> Any:
    """A few layers of the kinds that the applications have."""
    model = engine.Sequential(
        [
            engine.Input((8, 8, 3)),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, activation="softmax", name="predictions"),
        ]
    )
    fill(model)
    return model


@pytest.fixture
def folder(tmp_path: Path, network: Any) -> Path:
    """Holds what a benchmark of the network called `small` writes."""
    network.save(str(tmp_path / "small.keras"))
    np.save(tmp_path / "batch.npy", images(2, 8, 3))
    return tmp_path


def test_a_contestant_answers_with_the_outputs_of_the_model_and_with_its_times(folder: Path, network: Any) -> None:
    [entry] = inference.our_entries("small", 2, folder, folder / "batch.npy", ["float32"])
    with started(entry) as contestant:
        np.testing.assert_allclose(contestant.outputs(), network.predict(images(2, 8, 3), verbose=0), rtol=1e-5)
        assert 0 < contestant.block(0.01)["ms"] < 1000
        assert "convolution" in contestant.ask("profile")


def test_a_contestant_that_fails_says_why_and_takes_no_part(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    [entry] = inference.our_entries("missing", 2, folder, folder / "batch.npy", ["float32"])
    with pytest.raises(ContestantError, match=r"missing\.keras"), started(entry):
        pass
    unknown = Entry("unknown", "tests.benchmarks.contestants.absent", {})
    with contextlib.ExitStack() as stack:
        assert start_all(stack, [entry, unknown]) == {}
    assert "missing.keras" in (said := capfd.readouterr().out)
    assert "unknown takes no part" in said


def test_training_contestants_agree_on_the_losses_of_equal_weights(tmp_path: Path) -> None:
    model = trained(engine, "mlp", dropout=0.0)
    fill(model)
    write_weights(model, tmp_path / "mlp.npz")
    training.write_data("mlp", tmp_path / "mlp-data.npz")
    [entry] = training.entries("mlp", tmp_path, "train_on_batch", peers=[])
    model.compile(engine.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    with np.load(tmp_path / "mlp-data.npz") as data:
        history = model.fit(data["x"][:384], data["y"][:384], batch_size=128, shuffle=False, verbose=0)
    with started(entry) as contestant:
        losses = contestant.ask("losses", steps=3)
        assert contestant.ask("measure", times=1, warm_up=False)[0] > 0
    assert np.mean(losses) == pytest.approx(history.history["loss"][0], rel=1e-4)
    assert len(set(losses)) == 3


def test_memory_is_followed_over_runs_of_changing_sizes(folder: Path) -> None:
    name, runs, settled, _, change, _ = drift(worker("small", folder / "small.keras", [1, 4], "float32"), 2 * SAMPLES)
    assert (name, runs) == ("small", 2 * SAMPLES)
    assert isinstance(settled, float)
    assert isinstance(change, float)
    assert settled > 20
    assert change < 20


def test_measured_statistics_normalise_what_they_were_measured_on(network: Any) -> None:
    x = images(16, 8, 3)
    measure_statistics(network, x)
    normalised = engine.Model(network.inputs, network.layers[1].output).predict(x, verbose=0)
    standard = (normalised - np.asarray(network.layers[1].beta)) / np.asarray(network.layers[1].gamma)
    np.testing.assert_allclose(standard.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(standard.std((0, 1, 2)), 1, atol=0.02)
    assert network.layers[1].momentum == 0.99


def test_a_difference_is_a_share_of_the_largest_expected_output() -> None:
    expected = np.array([[1.0, -4.0]], np.float32)
    assert difference(expected + 1, expected) == 0.25
    with pytest.raises(ContestantError, match="shape"):
        difference(expected[0], expected)


def test_an_imported_file_takes_part_with_its_own_order_of_axes(tmp_path: Path) -> None:
    file = Path(__file__).parents[1] / "data" / "onnx" / "resnet.onnx"
    np.save(tmp_path / "batch.npy", batch := images(2, 32, 3))
    settings = {"model": str(file), "images": str(tmp_path / "batch.npy"), "calibration": None, "batch": 2}
    name = imported.imported_name("torch")
    with inference.compared(
        [Entry(name, "tests.benchmarks.contestants.beagle_inference", {**settings, "precision": "float32"})]
    ) as (contestants, differences):
        assert differences == {name: 0.0}
        assert imported.inner_transposes(contestants) == {name: 0}
        expected = engine.models.load_model(file).predict(batch.transpose(0, 3, 1, 2), verbose=0)
        np.testing.assert_allclose(contestants[name].outputs(), expected, rtol=1e-4, atol=1e-5)
