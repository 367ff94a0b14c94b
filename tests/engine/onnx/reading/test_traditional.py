"""scikit-learn's models (ai.onnx.ml) beside ONNX Runtime's: trees, linear ones, support vectors, preprocessing."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper

import engine
from tests.engine.onnx.graphs import assert_as_onnxruntime, by_onnxruntime, graph, imported, run

RNG = np.random.default_rng(12)
FEATURES = 4
ROWS = RNG.normal(size=(9, FEATURES)).astype(np.float32)


def node(operator: str, outputs: list[str], **attributes: Any) -> NodeProto:
    return helper.make_node(operator, ["x"], outputs, domain="ai.onnx.ml", **attributes)


def network(item: NodeProto, dtype: int = TensorProto.FLOAT) -> Any:
    return graph([item], {"x": ["N", FEATURES]}, list(item.output), opset=15, dtypes={"x": dtype})


def floats(*shape: int) -> list[float]:
    return [float(value) for value in RNG.normal(size=shape).ravel()]


def _trees(comparison: str) -> dict[str, Any]:
    """Two trees: one of two levels, one of one."""
    modes = [comparison, comparison, "LEAF", "LEAF", "LEAF", comparison, "LEAF", "LEAF"]
    return {
        "nodes_treeids": [0] * 5 + [1] * 3,
        "nodes_nodeids": [0, 1, 2, 3, 4, 0, 1, 2],
        "nodes_featureids": [0, 2, 0, 0, 0, 1, 0, 0],
        "nodes_modes": modes,
        "nodes_values": [0.1, -0.2, 0, 0, 0, 0.3, 0, 0],
        "nodes_truenodeids": [1, 2, 0, 0, 0, 1, 0, 0],
        "nodes_falsenodeids": [4, 3, 0, 0, 0, 2, 0, 0],
        "nodes_missing_value_tracks_true": [1, 0, 0, 0, 0, 0, 0, 0],
    }


LEAVES = [(0, 2), (0, 3), (0, 4), (1, 1), (1, 2)]


def _held(kind: str, outputs: int, signs: bool = True) -> dict[str, Any]:
    """What each leaf holds for each output."""
    places = [(tree, leaf, number) for tree, leaf in LEAVES for number in range(outputs)]
    weights = floats(len(places))
    return {
        f"{kind}_treeids": [place[0] for place in places],
        f"{kind}_nodeids": [place[1] for place in places],
        f"{kind}_ids": [place[2] for place in places],
        f"{kind}_weights": weights if signs else [abs(weight) / 4 for weight in weights],
    }


REGRESSORS = {
    "sum": {},
    "mean": {"aggregate_function": "AVERAGE"},
    "base values": {"base_values": [0.5, -1.0]},
    "strictly less": {"mode": "BRANCH_LT"},
    "greater": {"mode": "BRANCH_GT"},
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_trees_give_numbers(name: str) -> None:
    options = dict(REGRESSORS[name])
    mode = options.pop("mode", "BRANCH_LEQ")
    rows = ROWS.copy()
    rows[0, 0], rows[1, 2] = 0.1, np.nan
    item = node("TreeEnsembleRegressor", ["y"], n_targets=2, **_trees(mode), **_held("target", 2), **options)
    assert_as_onnxruntime(network(item), rows)


CLASSIFIERS: dict[str, tuple[dict[str, Any], int, bool]] = {
    "three classes": ({"classlabels_int64s": [0, 1, 2]}, 3, True),
    "other numbers": ({"classlabels_int64s": [5, -2, 9]}, 3, True),
    "probabilities": ({"classlabels_int64s": [0, 1, 2], "post_transform": "SOFTMAX"}, 3, True),
    "two classes, one score": ({"classlabels_int64s": [0, 1]}, 1, True),
    "two classes, one score of a probability": ({"classlabels_int64s": [0, 1]}, 1, False),
    "two classes, logistic": (
        {"classlabels_int64s": [0, 1], "post_transform": "LOGISTIC", "base_values": [0.2]},
        1,
        True,
    ),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_trees_choose_classes(name: str) -> None:
    attributes, outputs, signs = CLASSIFIERS[name]
    item = node(
        "TreeEnsembleClassifier", ["l", "s"], **_trees("BRANCH_LEQ"), **_held("class", outputs, signs), **attributes
    )
    assert_as_onnxruntime(network(item), ROWS)


def test_trees_that_lead_nowhere_or_in_circles_are_refused() -> None:
    for places, message in (([1, 2, 0, 0, 0, 7, 0, 0], "leads to one"), ([1, 1, 0, 0, 0, 1, 0, 0], "circle")):
        trees = {**_trees("BRANCH_LEQ"), "nodes_truenodeids": places}
        with pytest.raises(ValueError, match=message):
            imported(network(node("TreeEnsembleRegressor", ["y"], **trees, **_held("target", 1))))


LINEAR = {
    "three classes": {"classlabels_ints": [0, 1, 2], "post_transform": "SOFTMAX"},
    "scores": {"classlabels_ints": [3, 1, 2]},
    "logistic": {"classlabels_ints": [0, 1, 2], "post_transform": "LOGISTIC"},
    "two classes": {"classlabels_ints": [0, 1], "post_transform": "SOFTMAX"},
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_classifiers(name: str) -> None:
    attributes = LINEAR[name]
    classes = len(attributes["classlabels_ints"])
    item = node(
        "LinearClassifier", ["l", "s"], coefficients=floats(classes, FEATURES), intercepts=floats(classes), **attributes
    )
    assert_as_onnxruntime(network(item), ROWS)


def test_labels_that_are_texts_are_left_out_of_the_outputs() -> None:
    item = node(
        "LinearClassifier", ["l", "s"], coefficients=floats(3, FEATURES), intercepts=floats(3),
        classlabels_strings=["ant", "bee", "cat"],
    )  # fmt: skip
    model = network(item)
    (scores,) = run(imported(model), ROWS)
    np.testing.assert_allclose(scores, by_onnxruntime(model, ROWS)[1], rtol=1e-5, atol=1e-6)


OTHERS = {
    "regression": node("LinearRegressor", ["y"], coefficients=floats(2, FEATURES), intercepts=floats(2), targets=2),
    "scaling": node("Scaler", ["y"], offset=floats(FEATURES), scale=floats(FEATURES)),
    "one scale": node("Scaler", ["y"], offset=[0.5], scale=[2.0]),
    "largest": node("Normalizer", ["y"], norm="MAX"),
    "sum": node("Normalizer", ["y"], norm="L1"),
    "length": node("Normalizer", ["y"], norm="L2"),
    "threshold": node("Binarizer", ["y"], threshold=0.25),
}


@pytest.mark.parametrize("name", OTHERS)
def test_preprocessing_and_regression(name: str) -> None:
    rows = np.concatenate([ROWS, np.zeros((1, FEATURES), np.float32)])
    if name == "largest":
        rows = np.abs(rows)
    assert_as_onnxruntime(network(OTHERS[name]), rows)


def test_gaps_are_filled() -> None:
    rows = ROWS.copy()
    rows[::2, 1] = np.nan
    item = node("Imputer", ["y"], imputed_value_floats=floats(FEATURES), replaced_value_float=float("nan"))
    assert_as_onnxruntime(network(item), rows)


# Support vectors -----------------------------------------------------------------------------------------------------

KERNELS: dict[str, list[float]] = {
    "LINEAR": [0.0, 0.0, 0.0],
    "POLY": [0.3, 1.0, 3.0],
    "RBF": [0.4, 0.0, 0.0],
    "SIGMOID": [0.2, -0.1, 0],
}


def _machine(classes: int, kernel: str, is_probable: bool, **attributes: Any) -> NodeProto:
    owned, pairs = [3, 2, 4, 3][:classes], len(list(combinations(range(classes), 2)))
    if is_probable:
        attributes |= {"prob_a": [-abs(item) - 0.5 for item in floats(pairs)], "prob_b": floats(pairs)}
    return node(
        "SVMClassifier", ["l", "s"], kernel_type=kernel, kernel_params=KERNELS[kernel], rho=floats(pairs),
        vectors_per_class=owned, support_vectors=floats(sum(owned), FEATURES),
        coefficients=floats(classes - 1, sum(owned)), **attributes,
    )  # fmt: skip


@pytest.mark.parametrize("is_probable", [False, True], ids=["scores", "probabilities"])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("kernel", KERNELS)
def test_support_vectors_choose_classes(kernel: str, classes: int, is_probable: bool) -> None:
    item = _machine(classes, kernel, is_probable, classlabels_ints=list(range(3, 3 + classes)))
    assert_as_onnxruntime(network(item), ROWS, tolerance=2e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_support_vector_classifiers_may_be_linear(classes: int) -> None:
    item = node(
        "SVMClassifier",
        ["l", "s"],
        classlabels_ints=list(range(classes)),
        rho=[0.3],
        kernel_type="LINEAR",
        kernel_params=KERNELS["LINEAR"],
        coefficients=floats(classes, FEATURES),
    )
    assert_as_onnxruntime(network(item), ROWS)


@pytest.mark.parametrize("is_one_class", [0, 1])
@pytest.mark.parametrize("kernel", KERNELS)
def test_support_vectors_give_numbers(kernel: str, is_one_class: int) -> None:
    item = node(
        "SVMRegressor", ["y"], kernel_type=kernel, kernel_params=KERNELS[kernel], n_supports=5, rho=[0.2],
        support_vectors=floats(5, FEATURES), coefficients=floats(5), one_class=is_one_class,
    )  # fmt: skip
    assert_as_onnxruntime(network(item), ROWS, tolerance=2e-5)


def test_distances_far_from_the_origin_are_exact() -> None:
    item = _machine(3, "RBF", False, classlabels_ints=[0, 1, 2])
    far = next(attribute for attribute in item.attribute if attribute.name == "support_vectors")
    far.floats[:] = [value + 1000 for value in far.floats]
    assert_as_onnxruntime(network(item), ROWS + np.float32(1000), tolerance=1e-3)


def test_a_support_vector_machine_is_saved_and_loaded(tmp_path: Path) -> None:
    model = imported(network(_machine(3, "RBF", True, classlabels_ints=[0, 1, 2])))
    model.save(tmp_path / "machine.keras")
    again = engine.models.load_model(tmp_path / "machine.keras")
    for before, after in zip(run(model, ROWS), run(again, ROWS), strict=True):
        np.testing.assert_array_equal(after, before)


def test_lists_of_wrong_lengths_are_named() -> None:
    item = _machine(3, "RBF", False, classlabels_ints=[0, 1, 2])
    del next(attribute for attribute in item.attribute if attribute.name == "rho").floats[1:]
    with pytest.raises(ValueError, match="SVMClassifier 'l': its rho are 1 numbers; expected 3"):
        imported(network(item))
