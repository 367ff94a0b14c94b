"""Calibration: what is observed, how it is limited, and its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine as keras
from engine import layers
from engine.graph.constants import Constants
from engine.graph.labels import labels
from engine.graph.passes import optimise
from engine.graph.passes.lowering import Borders
from engine.graph.passes.quantization import Range
from engine.inference import Calibration, calibrate
from engine.inference.inputs import ModelInputs
from engine.inference.observation import Observed


def small_model() -> Any:
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    y = layers.Conv2D(4, 3, padding="same")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Add()([x, y]))))


def arrays(count: int = 10) -> Any:
    return np.random.default_rng(0).standard_normal((count, 8, 8, 2), dtype=np.float32)


def observed(*numbers: Any) -> Observed:
    result = Observed()
    for array in numbers:
        result.add(np.asarray(array, np.float32).reshape(-1, 1), "x")
    return result


def test_min_max_covers_what_was_seen_and_knows_the_means_of_what_is_multiplied() -> None:
    x = arrays()
    statistics = calibrate(small_model(), x, "min-max").statistics
    assert statistics.ranges["input 0"] == Range(float(x.min()), float(x.max()))
    np.testing.assert_allclose(statistics.means["input 0"], x.mean((0, 1, 2)), rtol=1e-4)
    assert statistics.ranges["relu 0"].minimum == 0
    assert len(statistics.means["relu 0"]) == 4


def test_labels_are_the_same_for_every_batch_size_and_however_nodes_are_fused() -> None:
    inputs = ModelInputs(small_model())
    found = []
    for size, is_fused in ((1, True), (64, True), (5, False)):
        graph, _ = inputs.capture(arrays(1), inputs.rows([arrays(1)]), size)
        if is_fused:
            optimise(graph, Constants(), frozen=True)
        names = labels(graph)
        assert len(set(names.values())) == len(names)
        found.append({name: symbol.shape[1:] for symbol, name in names.items() if symbol.shape[:1] == (size,)})
    fused, large, plain = found
    assert fused.items() <= plain.items()
    assert large.items() <= plain.items()


def test_a_percentile_leaves_the_largest_magnitudes_out() -> None:
    numbers = np.linspace(-1, 1, 100_001)
    numbers[:5] = -50
    limit = observed(numbers).percentile(99.9)
    assert 0.99 < limit < 1.02
    assert observed(numbers).percentile(100) == pytest.approx(50, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_best_limit_is_that_of_least_squared_error(scale: float) -> None:
    rng = np.random.default_rng(0)
    numbers = (rng.standard_normal(200_000) * scale).astype(np.float32)
    numbers[:20] *= 20

    def squared_error(limit: float) -> float:
        step = limit / 127
        return float(np.mean((np.clip(np.rint(numbers / step), -127, 127) * step - numbers) ** 2))

    found = observed(numbers)
    best = min(squared_error(found.largest * share) for share in np.linspace(0.2, 1, 200))
    assert squared_error(found.best_limit()) < 1.05 * best
    assert squared_error(found.best_limit()) < 0.9 * squared_error(found.largest)


def test_observing_in_parts_equals_observing_at_once() -> None:
    rng = np.random.default_rng(1)
    parts = [rng.standard_normal(5000) * size for size in (0.001, 3.0, 0.5, 900.0, 0.0)]
    together, one_by_one = observed(np.concatenate(parts)), observed(*parts)
    assert one_by_one.range(np.inf) == together.range(np.inf)
    assert one_by_one.percentile(90) == pytest.approx(together.percentile(90), abs=1)
    np.testing.assert_allclose(one_by_one.means(), together.means(), rtol=1e-5)


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    model = small_model()
    calibration = calibrate(model, arrays(3), "percentile", 99.5)
    calibration.save(tmp_path / "calibration.json")
    loaded = Calibration.load(tmp_path / "calibration.json")
    assert loaded == calibration
    assert loaded.belongs_to(model)
    assert isinstance(loaded.borders, Borders)
    model.layers[1].set_weights([weights + 1e-3 for weights in model.layers[1].get_weights()])
    assert not loaded.belongs_to(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content | {"format": "other"}, "expected format"),
        (lambda content: {**content, "ranges": {"input 0": [1, 0]}}, "expected a range"),
        (lambda content: {**content, "ranges": {"input 0": [0, 1e999]}}, "expected a range"),
        (lambda content: {**content, "means": {"input 0": [float("nan")]}}, "expected means"),
        (lambda content: {key: value for key, value in content.items() if key != "weights"}, "weights"),
        (lambda content: [content], "is no calibration file"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    file = tmp_path / "calibration.json"
    calibrate(small_model(), arrays(2)).save(file)
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    with pytest.raises(ValueError, match=f"is no calibration file.*{message}|{message}"):
        Calibration.load(file)


def test_arguments_are_checked() -> None:
    model = small_model()
    with pytest.raises(ValueError, match=r"method must be one of .*Received: 'entropy'"):
        calibrate(model, arrays(1), "entropy")
    with pytest.raises(ValueError, match="percentile must be above 50"):
        calibrate(model, arrays(1), "percentile", 101)
    with pytest.raises(ValueError, match="at least one row"):
        calibrate(model, arrays(0))
    broken = arrays(2)
    broken[1, 2, 3, 0] = np.nan
    with pytest.raises(ValueError, match="not finite in 'input 0'"):
        calibrate(model, broken)
    with pytest.raises(ValueError, match="expected shape"):
        calibrate(model, np.zeros((2, 9, 8, 2), np.float32))
