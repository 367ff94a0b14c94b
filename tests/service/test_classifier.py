"""The classifier: preprocessing and softmax as formulas say, predictions in order, checks at start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from service.classifier import Classifier, ClassifierError, Session, batch_sizes, best_classes
from service.repository import ServedModel

INPUT = np.zeros((3, 1, 2, 3), np.float32)


class Recorded:
    """A session that answers with given rows."""

    def __init__(self, rows: Any) -> None:
        self.rows = np.asarray(rows, np.float32)

    def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.rows[: len(x)]


def classifier(session: Session, **changes: Any) -> Classifier:
    fields = {"width": 2, "height": 1, "labels": ("a", 'b"ü', "c"), "color": "rgb"} | changes
    return Classifier(ServedModel("m", "1", Path(), Path("m.keras"), **fields), lambda served: session)


def images(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, 1, 2, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("scale", "mean", "std"),
    [
        (1.0, (), ()),
        (1 / 255, (), ()),
        (2.0, (3.0,), (4.0,)),
        (1.0, (1.0, 2.0, 3.0), ()),
        (0.5, (), (1.0, 2.0, 4.0)),
    ],
)
def test_preprocessing_is_scale_then_mean_then_std_in_float32(
    scale: float, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    pixels = images(3)
    x = classifier(Recorded(np.eye(3)), scale=scale, mean=mean, std=std).preprocess(pixels)
    assert x.dtype == np.float32
    expected = (pixels * scale - np.array(mean or 0.0)) / np.array(std or 1.0)
    np.testing.assert_allclose(x, expected, rtol=1e-6, atol=1e-5)


def test_softmax_is_stable_for_large_logits_and_sums_to_one() -> None:
    y = classifier(Recorded([[1000.0, 999.0, -1000.0]] * 2), activation="softmax").probabilities(INPUT)
    np.testing.assert_allclose(y, [[0.7310586, 0.2689414, 0.0]] * 2, atol=1e-6)


def test_answers_hold_each_images_own_top_k_best_first_rounded_to_six_places() -> None:
    answers = classifier(Recorded([[0.1, 0.2000004, 0.7], [0.6, 0.1, 0.3]])).classify(INPUT, [2, 1])
    assert [json.loads(answer) for answer in answers] == [
        {
            "success": True,
            "predictions": [{"label": "c", "probability": 0.7}, {"label": 'b"ü', "probability": 0.2}],
        },
        {"success": True, "predictions": [{"label": "a", "probability": 0.6}]},
    ]


def test_more_predictions_than_labels_are_all_labels() -> None:
    [answer] = classifier(Recorded([[0.1, 0.2, 0.7]])).classify(INPUT[:1], [50])
    assert [p["label"] for p in json.loads(answer)["predictions"]] == ["c", 'b"ü', "a"]


def test_a_tiny_probability_is_still_valid_json() -> None:
    [answer] = classifier(Recorded([[1e-6, 1e-12, 1.0]])).classify(INPUT[:1], [3])
    assert [p["probability"] for p in json.loads(answer)["predictions"]] == [1.0, 1e-06, 0.0]


def test_an_output_that_is_no_number_fails_that_image_alone() -> None:
    session = Recorded([[0.1, 0.2, 0.7], [np.nan, 0.0, 1.0], [np.inf, 0.0, 0.0]])
    results = [json.loads(answer) for answer in classifier(session).classify(INPUT, [1, 1, 1])]
    assert [result["success"] for result in results] == [True, False, False]
    assert results[1]["error"]["code"] == "model_failed"


@given(
    arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(3, 12)), elements=st.floats(width=32)),
    st.integers(1, 13),
)
def test_few_and_many_classes_are_described_alike_to_the_byte(rows: NDArray[np.float32], top_k: int) -> None:
    labels = tuple(str(n) for n in range(rows.shape[1]))
    one = classifier(Recorded(np.zeros((1, len(labels)))), labels=labels)
    by_row = one.answers(rows, [top_k] * len(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.classifier.SHORT_ROW", 0)
        together = one.answers(rows, [top_k] * len(rows))
    assert by_row == together


@pytest.mark.parametrize("classes", [10, 1000])
def test_best_classes_agree_with_a_stable_sort_for_every_k(classes: int) -> None:
    rng = np.random.default_rng(5)
    distinct = rng.permuted(np.tile(np.arange(classes, dtype=np.float32), (20, 1)), axis=1)
    for k in (1, 2, 5, classes - 1, classes, classes + 1):
        expected = np.argsort(-distinct, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(best_classes(distinct, k), expected)


def test_equal_probabilities_come_in_the_order_of_the_labels() -> None:
    assert best_classes(np.array([[0.2, 0.4, 0.2, 0.2]], np.float32), 4).tolist() == [[1, 0, 2, 3]]


def test_a_model_that_does_not_fit_its_labels_is_refused_at_start() -> None:
    with pytest.raises(ClassifierError, match=r"shape \[1, 4\], expected \[1, 3\]"):
        classifier(Recorded([[0.1, 0.2, 0.3, 0.4]]))


def test_a_model_that_does_not_take_the_input_is_refused_at_start() -> None:
    class Refusing:
        def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
            raise ValueError("expected 28x28")

    with pytest.raises(ClassifierError, match="expected 28x28"):
        classifier(Refusing())


@pytest.mark.parametrize(("max_batch", "sizes"), [(1, (1,)), (8, (1, 8)), (32, (1, 8, 32)), (50, (1, 8, 32, 50))])
def test_sessions_are_built_for_one_image_for_the_largest_batch_and_for_some_between(
    max_batch: int, sizes: tuple[int, ...]
) -> None:
    assert batch_sizes(max_batch) == sizes
