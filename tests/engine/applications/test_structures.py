"""Architectures have Keras's layers, names, connections and weights."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from engine import applications, initializers
from engine.naming import reset_names
from tests.engine.applications.structures import CASES, FIXTURE, structure, summary

EXPECTED = json.loads(FIXTURE.read_text(encoding="utf-8"))["models"]


@pytest.fixture(autouse=True)
def quick_names_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names begin afresh as in the fixture; a structure needs no random numbers."""
    reset_names()
    monkeypatch.setattr(
        initializers.VarianceScaling, "__call__", lambda self, shape, dtype=None: np.zeros(shape, dtype)
    )


def build(case: str) -> Any:
    function, arguments = CASES[case]
    return getattr(applications, function)(weights=None, **arguments)


@pytest.mark.parametrize("case", CASES)
def test_layers_names_connections_and_weights_equal_keras(case: str) -> None:
    model = build(case)
    if summary(model) == EXPECTED[case]:
        return
    from tests.engine.keras_reference import keras

    keras.utils.clear_session()
    function, arguments = CASES[case]
    theirs = getattr(keras.applications, function)(weights=None, **arguments)
    assert structure(model) == structure(theirs)
    assert [(v.path, v.shape) for v in model.weights] == [(v.path, v.shape) for v in theirs.weights]
    assert summary(model) == EXPECTED[case]
