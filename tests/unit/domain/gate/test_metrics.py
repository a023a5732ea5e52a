"""Metrics: worked out by hand, and as scikit-learn has them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sklearn_metrics  # type: ignore[import-untyped]  # has no types

from dlagent.api.types import Metric as MetricKind
from dlagent.domain.gate.metrics import (
    ClassScore,
    Metric,
    answers,
    class_changes,
    class_scores,
    is_right,
    max_abs_error,
)

LABELS = np.array([0, 0, 0, 0, 1, 1, 2])
GIVEN = np.array([0, 0, 0, 1, 1, 0, 1])


def test_scores_of_classes_by_hand() -> None:
    expected = (
        ClassScore(label=0, support=4, recall=3 / 4, precision=3 / 4, f1=6 / 8),
        ClassScore(label=1, support=2, recall=1 / 2, precision=1 / 3, f1=2 / 5),
        ClassScore(label=2, support=1, recall=0.0, precision=0.0, f1=0.0),
    )
    assert expected == class_scores(LABELS, GIVEN)


def test_a_class_that_is_only_answered_has_no_row() -> None:
    rows = class_changes(np.array([0, 2]), np.array([0, 1]), np.array([0, 2]))
    assert [0, 2] == [row.before.label for row in rows]
    assert [(1.0, 1.0), (0.0, 1.0)] == [(row.before.recall, row.after.recall) for row in rows]


@pytest.mark.parametrize(
    ("scores", "answer"),
    [
        pytest.param([0.1, 0.7, 0.2], 1, id="the highest score"),
        pytest.param([0.2, 0.4, 0.4], 1, id="of equals the lowest index"),
    ],
)
def test_answers(scores: list[float], answer: int) -> None:
    assert answer == answers(np.array([scores]))[0]


@pytest.mark.parametrize(
    ("label", "k", "right"),
    [
        pytest.param(0, 1, True, id="first of two equals"),
        pytest.param(2, 1, False, id="second of two equals"),
        pytest.param(2, 2, True, id="among two"),
        pytest.param(3, 2, False, id="third"),
        pytest.param(1, 4, True, id="all classes"),
    ],
)
def test_right_among_the_k_highest(label: int, k: int, right: bool) -> None:
    assert right == is_right(np.array([[0.4, 0.0, 0.4, 0.2]]), np.array([label]), k)[0]


@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        pytest.param([[1.0, -2.0]], [[1.5, -2.0]], 0.5, id="the largest"),
        pytest.param([[-np.inf, 1.0]], [[-np.inf, 1.0]], 0.0, id="equal infinities are equal"),
        pytest.param([[250]], [[4]], 246.0, id="small integers do not wrap around"),
    ],
)
def test_largest_error(before: list[Any], after: list[Any], error: float) -> None:
    kind = np.uint8 if isinstance(before[0][0], int) else np.float32
    assert error == max_abs_error(np.array(before, dtype=kind), np.array(after, dtype=kind))


def test_a_metric_says_its_name() -> None:
    assert ["Top5", "F1"] == [str(Metric(MetricKind.TOP_K, 5)), str(Metric(MetricKind.F1))]


pairs = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*2 * [hnp.arrays(np.int64, n, elements=st.integers(0, 4))])
)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_scores_of_classes_are_those_of_scikit_learn(pair: tuple[Any, Any]) -> None:
    labels, given_ = pair
    rows = class_scores(labels, given_)
    expected = sklearn_metrics.precision_recall_fscore_support(
        labels, given_, labels=np.unique(labels), zero_division=0
    )
    found = [(r.precision, r.recall, r.f1, r.support) for r in rows]
    assert pytest.approx(np.array(expected).T) == np.array(found)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float32, (20, 5), elements=st.integers(0, 3)), st.integers(1, 4))
def test_top_k_is_a_stable_sort_by_score(scores: Any, k: int) -> None:
    labels = np.arange(20) % 5
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert (best == labels[:, None]).any(axis=1).tolist() == is_right(scores, labels, k).tolist()
