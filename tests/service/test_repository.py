"""The model repository: what serving.toml may say, which model a request gets, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import ServiceError
from service.repository import ModelRepository, RepositoryError

PLAIN = """
[input]
width = 4
height = 3
[output]
labels = ["cat", "dog"]
"""

FULL = """
model = "net.keras"
[input]
width = 8
height = 6
color = "bgr"
steps = ["digit"]
resize = "lanczos"
fit = "crop"
[preprocessing]
scale = 0.5
mean = [1.0, 2, 3.0]
std = [4.0]
[inference]
precision = "int8"
calibration = "ranges.json"
[output]
labels_file = "labels.txt"
top_k = 2
activation = "softmax"
[batching]
max_batch = 8
deadline_s = 5
compute_limit_s = 1.5
"""


def write(folder: Path, place: str, text: str = PLAIN) -> Path:
    version = folder / place
    version.mkdir(parents=True)
    (version / "serving.toml").write_text(text)
    return folder


def test_everything_that_is_said_is_read(tmp_path: Path) -> None:
    write(tmp_path, "net/3", FULL)
    (tmp_path / "net/3/labels.txt").write_text("cat\ndog\nGrüße\n", encoding="utf-8")
    model = ModelRepository(tmp_path).get()
    assert (model.name, model.version, model.shape, model.color) == ("net", "3", (6, 8, 3), "bgr")
    assert model.model_path == tmp_path / "net/3/net.keras"
    assert (model.steps, model.resize, model.fit) == (("digit",), "lanczos", "crop")
    assert (model.scale, model.mean, model.std) == (0.5, (1.0, 2.0, 3.0), (4.0,))
    assert (model.labels, model.top_k, model.activation) == (("cat", "dog", "Grüße"), 2, "softmax")
    assert (model.max_batch, model.deadline_s, model.compute_limit_s) == (8, 5.0, 1.5)
    assert (model.precision, model.calibration_path) == ("int8", tmp_path / "net/3/ranges.json")


def test_what_is_left_out_has_defaults_that_fit(tmp_path: Path) -> None:
    model = ModelRepository(write(tmp_path, "net/1")).get()
    assert (model.color, model.channels, model.steps, model.fit) == ("rgb", 3, (), "stretch")
    assert (model.scale, model.mean, model.std, model.top_k) == (1.0, (), (), 2)
    assert (model.max_batch, model.deadline_s, model.activation) == (32, 30.0, "none")
    assert (model.precision, model.calibration_path) == ("float32", None)


def test_the_highest_version_by_number_is_served_unless_another_is_named(tmp_path: Path) -> None:
    for version in ("2", "10", "9"):
        write(tmp_path, f"net/{version}")
    repository = ModelRepository(tmp_path)
    assert repository.get("net").version == "10"
    assert repository.get("net", "2").version == "2"
    assert [model.version for model in repository] == ["2", "9", "10"]


@pytest.mark.parametrize(
    ("names", "setting", "default"),
    [
        (["cats"], "", "cats"),
        (["cats", "digits"], "", "digits"),
        (["cats", "dogs"], "dogs", "dogs"),
        (["a", "b"], "", None),
    ],
)
def test_the_default_model_is_the_one_set_else_the_only_one_else_digits(
    tmp_path: Path, names: list[str], setting: str, default: str | None
) -> None:
    for name in names:
        write(tmp_path, f"{name}/1")
    assert ModelRepository(tmp_path, default_model=setting).default_name == default


def test_only_the_models_asked_for_are_served(tmp_path: Path) -> None:
    for place in ("a/1", "a/2", "b/1", "c/1"):
        write(tmp_path, place)
    served = [(model.name, model.version) for model in ModelRepository(tmp_path, models=["a/1", "b"])]
    assert served == [("a", "1"), ("b", "1")]


@pytest.mark.parametrize(("name", "version"), [("none", None), ("a", "7"), ("a", "01"), ("../a", None)])
def test_an_unknown_model_or_version_is_not_found(tmp_path: Path, name: str, version: str | None) -> None:
    with pytest.raises(ServiceError) as caught:
        ModelRepository(write(tmp_path, "a/1")).get(name, version)
    assert (caught.value.code, caught.value.status) == ("model_not_found", 404)


def test_without_a_default_a_request_must_name_a_model(tmp_path: Path) -> None:
    write(write(tmp_path, "a/1"), "b/1")
    with pytest.raises(ServiceError, match="a, b"):
        ModelRepository(tmp_path).get()


def test_other_folders_and_files_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "net/1")
    (tmp_path / ".git/1").mkdir(parents=True)
    (tmp_path / "net/old").mkdir()
    (tmp_path / "README").write_text("hello")
    assert len(ModelRepository(tmp_path)) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width = 4", "", "input.width: expected a whole number, 1 to 8192, got nothing"),
        ("width = 4", "width = 0", "input.width: expected a whole number, 1 to 8192, got 0"),
        ("width = 4", "width = true", "input.width"),
        ("width = 4", 'width = 4\ncolor = "red"', "input.color: expected one of grey, rgb, bgr, got 'red'"),
        ("width = 4", "width = 4\ncolour = 1", r"unknown in \[input\]: colour"),
        ("width = 4", 'width = 4\nsteps = "digit"', "input.steps: expected a list of texts"),
        ('labels = ["cat", "dog"]', "labels = []", "one label or more"),
        ('labels = ["cat", "dog"]', 'labels = ["cat", 2]', "output.labels"),
        ('labels = ["cat", "dog"]', 'labels_file = "../x"', "the name of a file in the same folder"),
        ('labels = ["cat", "dog"]', 'labels_file = "none.txt"', "cannot read none.txt"),
        ('labels = ["cat", "dog"]', 'labels = ["a", "b"]\ntop_k = 3', "output.top_k: expected a whole number, 1 to 2"),
        ("[output]", "[preprocessing]\nmean = [1, 2]\n[output]", "preprocessing.mean: expected 1 or 3 numbers"),
        ("[output]", "[preprocessing]\nstd = 0\n[output]", "preprocessing.std: expected numbers other than 0"),
        ("[output]", '[inference]\nprecision = "int4"\n[output]', "inference.precision: expected one of float32"),
        ("[output]", '[inference]\ncalibration = "x.json"\n[output]', r"unknown in \[inference\]: calibration"),
        ("[output]", "[batching]\ndeadline_s = -1\n[output]", "batching.deadline_s: expected a number above 0"),
        ("[output]", "[extra]\n[output]", "unknown in the file: extra"),
        ("[output]", "[output", "is no TOML"),
    ],
)
def test_mistakes_name_file_key_expectation_and_value(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PLAIN
    write(tmp_path, "net/1", PLAIN.replace(old, new))
    with pytest.raises(RepositoryError, match=message) as caught:
        ModelRepository(tmp_path)
    assert str(tmp_path / "net/1/serving.toml") in str(caught.value)


def test_a_missing_or_empty_repository_and_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="expected a folder of models"):
        ModelRepository(tmp_path / "none")
    with pytest.raises(RepositoryError, match="found none"):
        ModelRepository(tmp_path)
    write(tmp_path, "net/1")
    with pytest.raises(RepositoryError, match="no model net/2"):
        ModelRepository(tmp_path, models=["net/2"])
    with pytest.raises(RepositoryError, match="default model 'cats'"):
        ModelRepository(tmp_path, default_model="cats")
    (tmp_path / "net/2").mkdir()
    with pytest.raises(RepositoryError, match=r"net/2/serving\.toml: cannot be read"):
        ModelRepository(tmp_path)
