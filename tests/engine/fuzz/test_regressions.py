"""What the campaigns found and is not said by a test of its own elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.inspection import inspect_file
from engine.models import load_model, model_from_config, model_from_yaml
from tests.engine.saving.archives import small_model, with_config, with_weights


@pytest.mark.parametrize("letter", ["\0", "\x01", "\x7f"])
def test_yaml_with_letters_that_it_forbids_is_refused(letter: str) -> None:
    with pytest.raises(ValueError, match="not valid YAML"):
        model_from_yaml(f"class_name: Sequential{letter}")


def test_a_convolution_without_filters_is_inspected(tmp_path: Path) -> None:
    def change(config: Any) -> None:
        layer = next(item for item in config["config"]["layers"] if item["class_name"] == "Conv2D")
        del layer["config"]["filters"]

    report = inspect_file(with_config(tmp_path / "m.keras", change))
    assert next(part for part in report.parts if part.kind == "Conv2D").shape is None


def test_weights_that_do_not_fit_are_said_of_which_file(tmp_path: Path) -> None:
    path = with_weights(tmp_path / "m.keras", lambda file: file.__delitem__("layers/dense/vars/1"))
    for read in (load_model, small_model().load_weights):
        with pytest.raises(ValueError, match=r"m\.keras.*1 mismatch"):
            read(path)


def test_configurations_of_very_many_objects_are_refused() -> None:
    layers = [{"class_name": "Flatten", "config": {}}] * 100_001
    with pytest.raises(ValueError, match="100002 objects; 100000 are supported"):
        model_from_config({"class_name": "Sequential", "config": {"layers": layers}, "keras_version": "2.4.0"})
