"""Models added to the repository: described rightly, tried, or not there at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import engine
from engine import layers
from service import cli
from service.adding import AddError, Order, add_model, well_known
from service.architectures import Architecture, Preprocessing
from service.classifier import Classifier, EngineLoader
from service.repository import ModelRepository
from service.settings import SETTINGS

LABELS = ("red", "green", "blue")


def tiny(weights: str | None = None, classes: int = 3) -> Any:
    """A network that says which colour (in BGR from -1 to 1) is the strongest."""
    model = engine.Sequential(
        [
            engine.Input((8, 8, 3)),
            layers.Conv2D(3, 1, name="turned"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes, activation="softmax", name="head"),
        ]
    )
    if weights is not None:
        model.load_weights(weights)
    return model


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny network in place of the well-known ones."""
    architecture = Architecture("tiny", tiny, Preprocessing("bgr", (127.5,), (127.5,)))
    monkeypatch.setattr(well_known, "find_architecture", lambda name: architecture)


@pytest.fixture
def order(tmp_path: Path) -> Order:
    (tmp_path / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    model = tiny()
    turned = np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3)  # from BGR to RGB
    model.set_weights([turned, np.zeros(3), 4 * np.eye(3), np.zeros(3)])
    model.save_weights(tmp_path / "tiny.weights.h5")
    return Order("tiny", weights=str(tmp_path / "tiny.weights.h5"), labels=tmp_path / "labels.txt")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of images, one of them in a folder below, and a file that is none."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number, name in enumerate(("a.png", "b.png", "more/c.png")):
        Image.fromarray(rng.integers(0, 256, (9 + number, 12, 3), np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def changed(order: Order, **changes: Any) -> Order:
    return Order(**{**vars(order), **changes})


def content(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_what_is_added_is_served_with_labels_and_preprocessing(order: Order, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    added = add_model(repository, order)
    assert content(repository) == {
        "tiny", "tiny/1", "tiny/1/labels.txt", "tiny/1/model.keras", "tiny/1/serving.toml"
    }  # fmt: skip
    served = ModelRepository(repository).get()
    assert served == added.served
    assert (served.width, served.height, served.color, served.fit) == (8, 8, "bgr", "crop")
    assert (served.labels, served.precision, served.max_batch) == (LABELS, "float32", 8)
    assert added.precision == "float32"
    assert added.notes == ()
    classifier = Classifier(served, EngineLoader(1))
    colours = np.zeros((3, 8, 8, 3), np.uint8)
    colours[[0, 1, 2], :, :, [2, 1, 0]] = 255  # red, green and blue as BGR, which is how images come
    np.testing.assert_array_equal(classifier.probabilities(classifier.preprocess(colours)).argmax(axis=1), [0, 1, 2])


def test_keras_class_index_is_taken_for_labels(order: Order, tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    path.write_text(json.dumps({str(number): [f"n{number}", label] for number, label in enumerate(LABELS)}))
    assert add_model(tmp_path / "models", changed(order, labels=path)).served.labels == LABELS


def test_a_version_that_is_there_is_replaced_only_by_force(order: Order, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    add_model(repository, order)
    with pytest.raises(AddError, match=r"tiny/1 is there already; --force replaces it"):
        add_model(repository, order)
    (repository / "tiny" / "1" / "old").touch()
    add_model(repository, changed(order, max_batch=2, replace=True))
    assert ModelRepository(repository).get().max_batch == 2
    assert "tiny/1/old" not in content(repository)
    add_model(repository, changed(order, version="2", name="other"))
    assert [(model.name, model.version) for model in ModelRepository(repository)] == [("other", "2"), ("tiny", "1")]


def test_int8_is_calibrated_with_the_images_of_a_folder(order: Order, photos: Path, tmp_path: Path) -> None:
    added = add_model(tmp_path / "models", changed(order, precision="int8", calibration=photos))
    assert added.notes[0] == f"Calibrated with 3 images of {photos}."
    assert added.notes[1] == "Skipped 1 files that are no readable images, such as notes.txt."
    assert added.served.precision == "int8"
    assert added.served.calibration_path is not None
    assert added.served.calibration_path.is_file()
    assert added.precision in ("int8", "float32")
    EngineLoader(1)(added.served)


def test_a_calibration_of_other_weights_is_refused(order: Order, photos: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    served = add_model(repository, changed(order, precision="int8", calibration=photos)).served
    tiny().save(served.model_path)
    with pytest.raises(ValueError, match="weights"):
        EngineLoader(1)(served)


def test_random_weights_are_for_trials(order: Order, tmp_path: Path) -> None:
    added = add_model(tmp_path / "models", changed(order, weights="random"))
    assert added.notes == ("The weights are random: its answers mean nothing.",)


def test_random_weights_need_no_network(order: Order, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse() -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr("engine.applications.imagenet_utils.class_index", refuse)
    added = add_model(tmp_path / "models", changed(order, weights="random", labels=None))
    assert added.served.labels[::999] == ("class 0", "class 999")
    assert "class 0 to class 999" in added.notes[0]
    with pytest.raises(AddError, match=r"no network.*--labels"):
        add_model(tmp_path / "models", changed(order, weights="imagenet", labels=None, version="2"))


def test_a_file_is_no_repository(order: Order, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AddError, match=r"--model-repository .*: expected a folder, but .*file is a file"):
        add_model(tmp_path / "file", order)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "absent.h5"}, "--weights: expected imagenet, random or a weights file, but 'absent.h5' does"),
        ({"weights": "imagenet"}, "--weights imagenet need 1000 labels, but .*labels.txt has 3"),
        ({"name": "../up"}, "expected a name"),
        ({"version": "0"}, "a whole number from 1"),
        ({"precision": "int8"}, "--calibration"),
        ({"calibration": Path()}, "int8 needs"),
        ({"precision": "int8", "calibration": Path("absent")}, "absent: expected a folder"),
    ],
)
def test_what_cannot_be_added_leaves_the_repository_as_it_was(
    order: Order, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    repository = tmp_path / "models"
    add_model(repository, changed(order, name="first"))
    before = content(repository)
    with pytest.raises(AddError, match=message):
        add_model(repository, changed(order, **changes))
    assert content(repository) == before


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("few.txt", "red\ngreen\n", "head/kernel"),
        ("empty.txt", "", "one label a line"),
        ("gap.txt", "red\n\nblue\n", "none empty"),
        ("bad.json", "[1]", "class index in JSON"),
        ("bad.json", "{", "class index in JSON"),
    ],
)
def test_labels_that_do_not_fit_are_refused(order: Order, name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(AddError, match=message):
        add_model(tmp_path / "models", changed(order, labels=tmp_path / name))
    assert not content(tmp_path / "models")


def test_without_any_image_there_is_no_calibration(order: Order, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AddError, match="expected images, found none that can be read among 0 files"):
        add_model(tmp_path / "models", changed(order, precision="int8", calibration=tmp_path / "empty"))
    assert not content(tmp_path / "models")


def test_a_model_that_fails_its_trial_is_not_added(
    order: Order, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(loader: Any, served: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(EngineLoader, "__call__", fail)
    with pytest.raises(AddError, match=r"the trial run failed: .*no room"):
        add_model(tmp_path / "models", order)
    assert not content(tmp_path / "models")


# The command -------------------------------------------------------------------------------------


def beagle_add(*arguments: Any) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        for setting in SETTINGS:
            for variable in setting.environ:
                patch.delenv(variable, raising=False)
        return CliRunner().invoke(cli.main, ["models", "add", *map(str, arguments)])


def test_the_command_says_what_it_made(order: Order, tmp_path: Path) -> None:
    flags = ("--weights", order.weights, "--labels", order.labels, "--model-repository", tmp_path / "models")
    result = beagle_add("tiny", *flags, "--name", "colours", "--max-batch", "4")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == f"Added colours version 1 in {tmp_path / 'models' / 'colours' / '1'}:"
    assert lines[1].startswith("  8x8 bgr, 3 labels, float32, ")
    assert lines[1].endswith(" MB, batches of up to 4")
    again = beagle_add("tiny", *flags, "--name", "colours")
    assert again.exit_code == 1
    assert again.output.startswith("Error: ")
    assert len(again.output.splitlines()) == 1
    assert beagle_add("tiny", *flags, "--name", "colours", "--force").exit_code == 0


@pytest.mark.parametrize(
    "arguments", [[], ["tiny", "--precision", "int4"], ["tiny", "--labels", "absent"], ["tiny", "--max-batch", "0"]]
)
def test_wrong_usage_has_a_status_of_its_own(arguments: list[str]) -> None:
    assert beagle_add(*arguments).exit_code == 2


def test_an_unknown_network_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()  # the well-known networks
    result = beagle_add("alexnet", "--model-repository", tmp_path)
    assert result.exit_code == 2
    assert "mobilenetv2" in result.output


def test_a_well_known_network_is_added_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"label {number}\n" for number in range(20)))
    flags = ("--weights", "random", "--labels", labels, "--model-repository", tmp_path / "models", "--max-batch", "1")
    result = beagle_add("mobilenet", *flags)
    assert result.exit_code == 0, result.output
    served = ModelRepository(tmp_path / "models").get()
    assert (served.name, served.shape, served.color, len(served.labels)) == ("mobilenet", (224, 224, 3), "rgb", 20)
    assert (served.mean, served.std) == ((127.5,), (127.5,))
