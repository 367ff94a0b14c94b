"""Sessions in int8 and bfloat16: close to float32, and honest about what is in use."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine as keras
from engine import InferenceSession, layers
from engine.datasets import mnist
from engine.inference import Calibration, calibrate
from engine.primitives.dispatch import device
from tests.benchmarks.accuracy import DATA, crops

try:
    from engine.kernels.onednn import instructions, precision
except OSError as error:
    pytest.skip(f"oneDNN cannot be loaded: {error}", allow_module_level=True)

ROOT = Path(__file__).parents[3]

needs_int8 = pytest.mark.skipif(
    device() != "onednn" or not instructions.has_int8(), reason="the CPU has no VNNI: sessions stay in float32"
)
needs_avx512 = pytest.mark.skipif(
    device() != "onednn" or instructions.InstructionSet.AVX512 not in instructions.effective(),
    reason="oneDNN computes bfloat16 on AVX-512 alone",
)


def images(count: int, seed: int = 0) -> Any:
    """Smooth images between 0 and 1."""
    coarse = np.random.default_rng(seed).random((count, 6, 6, 3), dtype=np.float32)
    return coarse.repeat(4, 1).repeat(4, 2)


def residual_model() -> Any:
    """Two residual blocks, the second with a projection, with pooling before and behind."""
    keras.utils.set_random_seed(1)

    def unit(x: Any, filters: int, kernel: int, strides: int = 1) -> Any:
        x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    inputs = keras.Input((24, 24, 3))
    x = layers.MaxPooling2D()(layers.ReLU()(unit(inputs, 16, 3)))
    y = unit(layers.ReLU()(unit(x, 16, 3)), 16, 3)
    x = layers.ReLU()(layers.Add()([x, y]))
    y = unit(layers.ReLU()(unit(x, 32, 3, 2)), 32, 3)
    x = layers.ReLU()(layers.Add()([unit(x, 32, 1, 2), y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def branching_model() -> Any:
    """Branches that are concatenated, depthwise and grouped convolutions, one of them dilated, and a dense layer."""
    keras.utils.set_random_seed(2)
    inputs = keras.Input((24, 24, 3))
    x = layers.Conv2D(16, 3, activation="relu")(inputs)
    a = layers.Conv2D(16, 1, activation="relu")(x)
    b = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    c = layers.MaxPooling2D(3, 1, padding="same")(x)
    x = layers.Concatenate()([a, b, c])
    x = layers.Conv2D(32, 3, groups=4, activation="relu")(x)
    x = layers.Conv2D(32, 3, dilation_rate=2, activation="tanh")(x)
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(4)(x))


def distance(ours: Any, exact: Any) -> float:
    return float(np.linalg.norm(ours - exact) / np.linalg.norm(exact))


def described(session: InferenceSession, batch_size: int) -> list[dict[str, Any]]:
    return session.describe(batch_size=batch_size, print_fn=lambda _: None)


@needs_int8
@pytest.mark.parametrize("make", [residual_model, branching_model])
def test_int8_is_close_to_float32_for_any_number_of_rows(make: Any) -> None:
    model = make()
    session = InferenceSession(model, (1, 4), "int8", images(32))
    assert session.precision == "int8"
    x = images(6, seed=1)
    exact = model.predict(x, verbose=0)
    assert distance(session.run(x), exact) < 0.05
    assert distance(session.run(x[:1]), exact[:1]) < 0.05


@needs_int8
def test_between_convolutions_everything_stays_int8_and_residuals_are_added_in_place() -> None:
    calibration = calibrate(residual_model(), images(16))
    everything = Calibration(**{**vars(calibration), "borders": type(calibration.borders)()})
    session = InferenceSession(residual_model(), (4,), "int8", everything)
    rows = described(session, 4)
    steps = [row["primitive"] for row in rows]
    assert steps.count("quantize") <= 2  # the image, and the means before the last layer
    assert sum("convolution" in step for step in steps) == 6
    assert sum("add" in step for step in steps) == 2
    before = steps.index("quantize"), max(index for index, step in enumerate(steps) if "convolution" in step)
    assert all(row["kernel"] == "onednn" for row in rows[before[0] : before[1] + 1])
    assert steps.count("dequantize") <= 1


@needs_int8
def test_sessions_for_several_batch_sizes_share_their_quantised_weights() -> None:
    model = branching_model()
    session = InferenceSession(model, (1, 2, 8), "int8", images(8))
    packed = [value for value in session._constants._packed.values() if isinstance(value, np.ndarray)]
    alone = InferenceSession(model, (8,), "int8", images(8))
    once = [value for value in alone._constants._packed.values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in packed) < 1.5 * sum(array.nbytes for array in once)


@needs_int8
def test_a_calibration_made_with_one_batch_size_serves_every_other(tmp_path: Path) -> None:
    model = residual_model()
    x = images(5, seed=3)
    given = InferenceSession(model, (1, 5), "int8", images(3)).run(x)
    calibrate(model, images(3)).save(tmp_path / "calibration.json")
    loaded = InferenceSession(model, (1, 5), "int8", tmp_path / "calibration.json").run(x)
    np.testing.assert_array_equal(given, loaded)


def test_int8_without_calibration_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"needs calibration: arrays .* engine\.inference\.calibrate"):
        InferenceSession(residual_model(), precision="int8")
    with pytest.raises(ValueError, match="calibration is for precision='int8'; precision is 'float32'"):
        InferenceSession(residual_model(), calibration=images(2))
    with pytest.raises(ValueError, match=r"one of float32, bfloat16, int8\. Received: 'int4'"):
        InferenceSession(residual_model(), precision="int4")


def test_a_calibration_of_other_weights_is_refused(tmp_path: Path) -> None:
    model = residual_model()
    calibration = calibrate(model, images(2))
    calibration.save(tmp_path / "calibration.json")
    model.layers[1].set_weights([weights * 1.5 for weights in model.layers[1].get_weights()])
    for given in (calibration, str(tmp_path / "calibration.json")):
        with pytest.raises(ValueError, match=r"other weights\. Calibrate again"):
            InferenceSession(model, precision="int8", calibration=given)


@needs_int8
def test_a_session_whose_weights_change_goes_on_in_float32(caplog: pytest.LogCaptureFixture) -> None:
    model = residual_model()
    session = InferenceSession(model, (2,), "int8", images(4))
    model.layers[1].set_weights([weights * 1.5 for weights in model.layers[1].get_weights()])
    x = images(2)
    with caplog.at_level(logging.WARNING, "engine"):
        np.testing.assert_allclose(session.run(x), model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    assert session.precision == "float32"
    assert "no longer those that it was calibrated with" in caplog.text


@pytest.mark.parametrize("wanted", ["int8", "bfloat16"])
def test_a_cpu_without_the_instructions_gives_float32_and_one_log_line(
    wanted: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(instructions, "effective", lambda: instructions.InstructionSet.AVX512)
    model = residual_model()
    x = images(3)
    with caplog.at_level(logging.WARNING, "engine"):
        session = InferenceSession(model, (1, 2), wanted, images(2) if wanted == "int8" else None)
        np.testing.assert_allclose(session.run(x), model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    assert session.precision == "float32"
    assert [record.message for record in caplog.records if "float32" in record.message] == [
        f"Model {model.name!r} runs in float32, not in {wanted}: the CPU has no fast instructions for it."
    ]


@needs_int8
def test_a_model_that_cannot_be_captured_runs_as_predict_does() -> None:
    class Branching(keras.Model):
        def call(self, inputs: Any) -> Any:
            return inputs * 2 if float(inputs[0, 0]) > 0 else inputs

    x = np.array([[1.0, 2.0]], np.float32)
    session = InferenceSession(Branching(), (1,), "int8", x)
    assert session.precision == "float32"
    np.testing.assert_array_equal(session.run(x), 2 * x)


@needs_avx512
@pytest.mark.parametrize("make", [residual_model, branching_model])
def test_bfloat16_is_close_to_float32(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)  # emulated where the CPU has none
    model = make()
    session = InferenceSession(model, (1, 4), "bfloat16")
    assert session.precision == "bfloat16"
    x = images(6, seed=1)
    result = session.run(x)
    assert result.dtype == np.float32
    assert distance(result, model.predict(x, verbose=0)) < 0.02
    steps = [row["primitive"] for row in described(session, 4)]
    assert steps.count("cast") <= 4


@needs_int8
@pytest.mark.skipif(not DATA.is_dir(), reason=f"there is no folder {DATA} (BEAGLE_TEST_DATA names another)")
def test_the_shipped_digits_lose_nothing_in_int8() -> None:
    _, (test, labels) = mnist.load_data(DATA / "mnist")
    x, labels = test[:4000, ..., None].astype(np.float32), labels[:4000]
    model = keras.models.load_model(str(ROOT / "service" / "models" / "digits" / "1" / "model.keras"))
    session = InferenceSession(model, (32,), "int8", x[::40])
    assert session.precision == "int8"
    exact = np.mean(InferenceSession(model, (32,)).run(x).argmax(1) == labels)
    assert np.mean(session.run(x).argmax(1) == labels) >= exact - 0.001


@needs_int8
@pytest.mark.skipif(not DATA.is_dir(), reason=f"there is no folder {DATA} (BEAGLE_TEST_DATA names another)")
def test_a_trained_residual_network_names_the_same_class_for_photographs_in_int8() -> None:
    model = keras.models.load_model(str(DATA / "keras" / "resnet8_cifar10.h5"), compile=False)
    x = crops(1500, seed=1)
    exact = InferenceSession(model, (32,)).run(x).argmax(1)
    session = InferenceSession(model, (32,), "int8", crops(256, seed=2))
    assert session.precision == "int8"
    assert np.mean(session.run(x).argmax(1) == exact) >= 0.975  # 98.2 % of many more, see tests/benchmarks/accuracy.py
