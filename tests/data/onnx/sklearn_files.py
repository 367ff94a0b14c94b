"""scikit-learn's classifiers, written by skl2onnx: a label and probabilities come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import skl2onnx
import sklearn
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.data.onnx.make import ROWS, Inputs


def _fitted(file: Path, model: Any) -> tuple[Inputs, str]:
    rows, labels = make_classification(200, 6, n_informative=4, n_classes=3, random_state=0)
    rows = rows.astype(np.float32)
    model.fit(rows, labels)
    # Without ZipMap probabilities are an array, not a list of dictionaries.
    written = skl2onnx.to_onnx(model, rows[:1], options={id(model): {"zipmap": False}}, target_opset=17)
    file.write_bytes(written.SerializeToString())
    return {"X": rows[:ROWS]}, f"skl2onnx {skl2onnx.__version__}, scikit-learn {sklearn.__version__}"


def sklearn_logistic(file: Path) -> tuple[Inputs, str]:
    """Scaler and LinearClassifier."""
    return _fitted(file, make_pipeline(StandardScaler(), LogisticRegression()))


def sklearn_forest(file: Path) -> tuple[Inputs, str]:
    """TreeEnsembleClassifier."""
    return _fitted(file, RandomForestClassifier(8, max_depth=5, random_state=0))
