"""Model files that somebody brings: served as they compute, with what was guessed told, or refused with the reason."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

import engine
from engine import inspection, layers
from engine.inspection import ModelReport, Part, Tensor
from service.adding import Added, AddError, Order, add_model
from service.architectures import UnknownArchitectureError
from service.classifier import Classifier, EngineLoader

Build = Callable[[], Any]


def network(shape: tuple[int | None, ...], activation: str | None = "softmax", classes: int = 5, **options: Any) -> Any:
    """A convolutional classifier; its answers depend on position, colour and scale."""
    engine.utils.set_random_seed(1)
    first = options.pop("data_format", None) == "channels_first"
    chain = [
        layers.Input(shape, **options),
        layers.Conv2D(4, 3, data_format="channels_first" if first else None, activation="tanh"),
        layers.GlobalMaxPooling2D(data_format="channels_first" if first else None),
        layers.Dense(classes, activation=activation),
    ]
    return engine.Sequential(chain)


def branched(outputs: Callable[[Any], Any], classes: int = 5) -> Any:
    """A functional model: what `outputs` makes of four feature maps of 6x6."""
    engine.utils.set_random_seed(2)
    images = layers.Input((8, 8, 3))
    return engine.Model(images, outputs(layers.Conv2D(classes, 3, name="features")(images)))


def add(tmp_path: Path, model: Any, file: str = "brought", **changes: Any) -> Added:
    path = tmp_path / f"{file}.keras"
    model.save(path)
    return add_model(tmp_path / "models", Order(str(path), max_batch=2, **changes), 1)


def told(added: Added, subject: str) -> str:
    """What was said of a subject, such as `scale (small images of 8x8; --preprocess changes it)`."""
    return "; ".join(str(each).partition(": ")[2] for each in added.decisions if each.subject == subject)


def answers(added: Added, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Of the served model, for images in its own colour order."""
    classifier = Classifier(added.served, EngineLoader(1))
    return classifier.probabilities(classifier.preprocess(images))


def softmax(values: NDArray[np.float32]) -> NDArray[np.float32]:
    exponents = np.exp(values - values.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def pixels(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (3, *shape), np.uint8)


# Forms ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "to_input"),
    [
        pytest.param(lambda: network((8, 6, 3)), lambda x: x, id="channels last"),
        pytest.param(
            lambda: network((3, 8, 6), data_format="channels_first"),
            lambda x: x.transpose(0, 3, 1, 2),
            id="channels first",
        ),
        pytest.param(lambda: network((8, 6, 3), batch_size=1), lambda x: x, id="batches of one"),
        pytest.param(lambda: network((8, 6, 3), dtype="float16"), lambda x: x, id="half precision"),
    ],
)
def test_a_file_is_served_as_it_computes(build: Build, to_input: Callable[[Any], Any], tmp_path: Path) -> None:
    model = build()
    added = add(tmp_path, model, preprocess="scale")
    images = pixels(8, 6, 3)
    assert added.served.shape == (8, 6, 3)
    expected = [model.predict(to_input(image[None] / np.float32(255)), verbose=0)[0] for image in images]
    np.testing.assert_allclose(answers(added, images), expected, atol=2e-4)


def test_grey_images_need_no_axis_of_channels(tmp_path: Path) -> None:
    model = engine.Sequential([layers.Input((7, 7)), layers.Flatten(), layers.Dense(3, activation="softmax")])
    added = add(tmp_path, model)
    images = pixels(7, 7, 1)
    assert (added.served.shape, added.served.color) == ((7, 7, 1), "grey")
    np.testing.assert_allclose(answers(added, images), model.predict(images[..., 0] / 255, verbose=0), atol=1e-5)


def test_an_image_in_one_row_is_taken_where_the_size_is_given(tmp_path: Path) -> None:
    model = engine.Sequential([layers.Input((48,)), layers.Dense(3, activation="softmax")])
    with pytest.raises(AddError, match=r"takes images .* shape \(any, 48\); .* --size says"):
        add(tmp_path, model)
    added = add(tmp_path, model, size=(6, 8), preprocess="scale")
    images = pixels(8, 6, 1)
    assert added.served.shape == (8, 6, 1)
    np.testing.assert_allclose(answers(added, images), model.predict(images.reshape(3, 48) / 255, verbose=0), atol=1e-5)


def test_a_free_size_is_settled(tmp_path: Path) -> None:
    model = network((None, None, 3))
    added = add(tmp_path, model, size=(20, 16))
    assert (added.served.width, added.served.height) == (20, 16)
    assert told(added, "input size") == "20x16 (as asked)"
    images = pixels(16, 20, 3)
    np.testing.assert_allclose(answers(added, images), model.predict(images / np.float32(255), verbose=0), atol=1e-5)
    usual = add(tmp_path, model, "usual")
    assert told(usual, "input size") == "224x224 (the file leaves it free, and it is usual; --size changes it)"


def test_logits_get_a_softmax_and_probabilities_none(tmp_path: Path) -> None:
    model = network((8, 8, 3), None)
    added = add(tmp_path, model, preprocess="none", color="bgr")
    assert added.served.activation == "softmax"
    assert told(added, "output").startswith("a softmax follows (values from ")
    images = pixels(8, 8, 3)
    np.testing.assert_allclose(answers(added, images), softmax(model.predict(images, verbose=0)), atol=1e-5)
    for activation in ("softmax", "sigmoid"):
        left = add(tmp_path, network((8, 8, 3), activation), activation)
        assert left.served.activation == "none"
        assert told(left, "output") == f"as it is (the model ends in a {activation})"
    lambda_free = branched(lambda x: layers.Reshape((5,))(layers.GlobalAveragePooling2D(keepdims=True)(x)))
    head = engine.Model(lambda_free.inputs, engine.ops.softmax(lambda_free.outputs[0]))
    assert told(add(tmp_path, head, "operation"), "output").startswith("as it is")


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_probability_becomes_two_classes(activation: str | None, tmp_path: Path) -> None:
    model = network((8, 8, 3), activation, 1)
    model.layers[-1].bias.assign([3.0])  # as a logit no probability
    added = add(tmp_path, model, preprocess="scale")
    images = pixels(8, 8, 3)
    yes = model.predict(images / np.float32(255), verbose=0)
    if activation is None:
        yes = 1 / (1 + np.exp(-yes))
    np.testing.assert_allclose(answers(added, images), np.concatenate([1 - yes, yes], axis=1), atol=1e-5)
    assert added.served.labels == ("class 0", "class 1")


def test_scores_in_maps_of_one_by_one_are_flattened(tmp_path: Path) -> None:
    model = branched(lambda x: layers.Softmax()(layers.GlobalAveragePooling2D(keepdims=True)(x)))
    added = add(tmp_path, model, preprocess="scale")
    images = pixels(8, 8, 3)
    expected = model.predict(images / np.float32(255), verbose=0).reshape(3, 5)
    np.testing.assert_allclose(answers(added, images), expected, atol=1e-5)


def test_of_several_outputs_the_scores_are_chosen(tmp_path: Path) -> None:
    def outputs(x: Any) -> list[Any]:
        scores = layers.GlobalAveragePooling2D(name="scores")(x)
        return [x, layers.Dense(3, activation="softmax", name="aux")(scores), scores]

    added = add(tmp_path, branched(outputs), preprocess="scale")
    assert told(added, "output").startswith("scores (any, 5) (of 3, the one that looks like class scores); a softmax")
    (tmp_path / "three.txt").write_text("a\nb\nc\n")
    asked = add(tmp_path, branched(outputs), "asked", preprocess="scale", labels=tmp_path / "three.txt")
    assert told(asked, "output").startswith("aux (any, 3)")
    assert told(asked, "output").endswith("the model ends in a softmax)")


def two_inputs() -> Any:
    first, second = layers.Input((8, 8, 3), name="left"), layers.Input((2,), name="right")
    return engine.Model([first, second], layers.Dense(2)(layers.Flatten()(first)))


def twins(x: Any) -> list[Any]:
    pooled = layers.GlobalAveragePooling2D()(x)
    return [layers.Dense(4, name="first")(pooled), layers.Dense(4, name="second")(pooled)]


@pytest.mark.parametrize(
    ("build", "changes", "message"),
    [
        (two_inputs, {}, r"one image input, but it has 2: left \(any, 8, 8, 3\), right \(any, 2\)"),
        (lambda: branched(lambda x: x), {}, r"one output of class scores.* gives 1: features \(any, 6, 6, 5\)"),
        (lambda: branched(twins), {}, r"gives 2: first \(any, 4\), second \(any, 4\)"),
        (lambda: engine.Sequential([layers.Input((9, 4)), layers.Flatten(), layers.Dense(2)]), {}, r"\(any, 9, 4\)"),
        (lambda: engine.Sequential([layers.Input((1, 1)), layers.LSTM(2)]), {}, r"\(any, 1, 1\)"),
        (lambda: network((8, 8, 3)), {"size": (9, 8)}, "--size 9x8 does not fit: the file says 8x8"),
        (lambda: network((8, 8, 3)), {"color": "grey"}, "--color grey does not fit: the model takes 3 channels"),
        (lambda: network((8, 8, 1)), {"preprocess": "torch"}, "torch is for images in colour"),
        (lambda: network((8, 8, 3)), {"weights": "random"}, "--weights is for well-known networks"),
        (lambda: network((8, 8, 3)), {"labels": "two.txt"}, "expected 5 labels, one for each output .* has 2"),
        (lambda: network((8, 8, 3)), {"name": "../up"}, "expected a name"),
        (lambda: network((8, 8, 3)), {"precision": "int8"}, "--calibration"),
    ],
)
def test_what_cannot_be_served_is_refused_and_nothing_is_left(
    build: Build, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "two.txt").write_text("a\nb\n")
    if "labels" in changes:
        changes = {"labels": tmp_path / changes["labels"]}
    with pytest.raises(AddError, match=message):
        add(tmp_path, build(), **changes)
    assert not list((tmp_path / "models").rglob("*"))


@pytest.mark.parametrize("rows", [3, -1])
def test_what_computes_batches_of_one_size_alone_is_refused(rows: int, tmp_path: Path) -> None:
    images = layers.Input((4, 4, 1), batch_size=3)
    scores = engine.ops.reshape(images, (rows, 16))
    mixed = scores + engine.ops.mean(scores, axis=0, keepdims=True)
    with pytest.raises(AddError, match="made for batches of 3 alone; export it for any batch"):
        add(tmp_path, engine.Model(images, mixed))


@pytest.fixture
def real_data() -> Path:
    """The folder of real files; a test that needs it is skipped where it is absent."""
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("BEAGLE_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"there is no folder of real data at {folder} (BEAGLE_TEST_DATA names another)")
    return folder


def test_a_real_network_sees_the_cat_with_all_that_was_guessed(real_data: Path, tmp_path: Path) -> None:
    file = real_data / "keras" / "resnet8_cifar10.h5"
    added = add_model(tmp_path / "models", Order(str(file), max_batch=1), 1)
    assert told(added, "preprocessing").startswith("none (the statistics of its first batch normalisation")
    for name in ("chelsea.png", "kitten_224.png"):
        with Image.open(real_data / "photos" / name) as photo:
            image = np.asarray(ImageOps.fit(photo.convert("RGB"), (32, 32)))
        best = answers(added, image[None]).argmax()
        assert added.served.labels[best] == "cat"


def test_a_name_without_ending_is_a_network_whatever_lies_in_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alexnet").touch()
    with pytest.raises(UnknownArchitectureError):
        add_model(tmp_path / "models", Order("alexnet"))


def test_damaged_and_absent_files_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.keras").write_bytes(b"no archive")
    for name, message in (("broken.keras", "broken.keras"), ("absent.onnx", "there is no file .*absent.onnx")):
        with pytest.raises(AddError, match=message):
            add_model(tmp_path / "models", Order(str(tmp_path / name)))


# Reports made by hand ------------------------------------------------------------------------------------------------


def report(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    """Every file is inspected so."""
    defaults: dict[str, Any] = {"path": "file", "format": "ONNX", "written_by": "pytorch 2.13", "size_bytes": 1}
    found = ModelReport(**(defaults | fields))
    monkeypatch.setattr(inspection, "inspect_file", lambda path: found, raising=False)


def test_problems_are_named_and_the_command_that_lists_them_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "odd.onnx").touch()
    report(monkeypatch, problems=("no Loop", "no If", "no Scan", "no NonZero"))
    with pytest.raises(AddError, match=r"not supported: no Loop; no If; no Scan; and 1 more \(beagle models inspect "):
        add_model(tmp_path / "models", Order(str(tmp_path / "odd.onnx")))


def test_weights_alone_are_no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "x.weights.h5").touch()
    report(monkeypatch, format="Keras weights")
    with pytest.raises(AddError, match="weights without a network: name a well-known one, and this file by --weights"):
        add_model(tmp_path / "models", Order(str(tmp_path / "x.weights.h5")))


@pytest.mark.parametrize(
    ("shape", "size", "arguments"),
    [
        ((None, 3, None, None), None, {"channels_last": True, "input_sizes": (224, 224)}),
        ((None, 3, None, None), (20, 16), {"channels_last": True, "input_sizes": (16, 20)}),
        ((1, 3, 16, 20), None, {"channels_last": True, "input_sizes": None}),
        ((1, 16, 20, 3), None, {}),
    ],
)
def test_an_onnx_file_is_read_channels_last_and_with_a_size(
    shape: tuple[int | None, ...],
    size: tuple[int, int] | None,
    arguments: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    calls = []

    def read_model(path: Path, **options: Any) -> Any:
        calls.append(options)
        height, width = options.get("input_sizes") or (16, 20)
        model = network((height, width, 3), None)
        model.labels = list("abcde")
        return model

    module = types.ModuleType("engine.onnx")
    module.read_model = read_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "engine.onnx", module)
    kinds = ("Conv", "Relu", "Gemm")
    report(monkeypatch, inputs=(Tensor("x", shape, "float32"),), parts=tuple(Part(kind, kind) for kind in kinds))
    path = tmp_path / "Some net (1).onnx"
    path.touch()
    added = add_model(tmp_path / "models", Order(str(path), size=size, max_batch=1), 1)
    assert calls == [arguments]
    assert added.served.name == "Some-net-1"
    assert added.served.labels == tuple("abcde")
    assert told(added, "labels").endswith("(they are in the file; --labels changes it)")
