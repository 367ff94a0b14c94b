"""Labels of model files that somebody brings: where they are found, and what stands in their place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import engine
from engine import layers
from tests.service.test_adding_files import add, network, told


def test_labels_are_found_beside_the_file_where_their_number_fits(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("too\nfew\n")
    index = {str(number): [f"n{number}", f"label {number}"] for number in range(5)}
    (tmp_path / "class_index.json").write_text(json.dumps(index))
    added = add(tmp_path, network((8, 8, 3)))
    assert added.served.labels == tuple(f"label {number}" for number in range(5))
    assert "class_index.json lies beside the model" in told(added, "labels")


def test_digits_are_guessed_and_drawings_of_them_are_brought_into_form(tmp_path: Path) -> None:
    model = engine.Sequential([layers.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10, activation="softmax")])
    added = add(tmp_path, model)
    assert added.served.labels == tuple("0123456789")
    assert added.served.steps == ("digit",)
    (tmp_path / "clothes.txt").write_text("".join(f"garment {number}\n" for number in range(10)))
    assert add(tmp_path, model, "clothes", labels=tmp_path / "clothes.txt").served.steps == ()


def test_a_thousand_outputs_are_imagenets_classes_or_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = tuple((f"n{number}", f"name {number}") for number in range(1000))
    monkeypatch.setattr("engine.applications.imagenet_utils.class_index", lambda: names)
    assert add(tmp_path, network((8, 8, 3), classes=1000)).served.labels[999] == "name 999"
    assert add(tmp_path, network((8, 8, 3), classes=1001), "slim").served.labels[:2] == ("background", "name 0")

    def refuse() -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr("engine.applications.imagenet_utils.class_index", refuse)
    added = add(tmp_path, network((8, 8, 3), classes=1000), "alone")
    assert added.served.labels[999] == "class 999"
    assert "their names could not be fetched; --labels changes it" in told(added, "labels")
