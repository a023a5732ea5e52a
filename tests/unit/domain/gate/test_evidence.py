"""What outputs say of a candidate."""

from typing import Any

import numpy as np
import pytest

from dlagent.api.types import Metric as MetricKind
from dlagent.domain.gate.bootstrap import PairedClasses
from dlagent.domain.gate.evidence import Evidence, LargestError, NotFinite, compare
from dlagent.domain.gate.metrics import Metric
from dlagent.domain.gate.paired import PairedCounts

LABELS = np.array([0, 1, 2, 2])
BEFORE = np.array([[9, 1, 0], [1, 9, 0], [0, 1, 9], [9, 8, 7]], dtype=np.float32)
AFTER = np.array([[9, 1, 0], [9, 8, 0], [9, 1, 8], [0, 8, 9]], dtype=np.float32)
BROKEN = np.where(np.arange(3) == 1, np.nan, AFTER)
MASKED = np.where(np.arange(3) == 0, -np.inf, BEFORE)


@pytest.mark.parametrize(
    ("metric", "before", "after", "expected"),
    [
        pytest.param(
            Metric(MetricKind.ACCURACY),
            BEFORE,
            AFTER,
            PairedCounts(examples=4, right_before=3, lost=2, won=1),
            id="two right before are lost, one is won",
        ),
        pytest.param(
            Metric(MetricKind.TOP_K, 2),
            BEFORE,
            AFTER,
            PairedCounts(examples=4, right_before=3, lost=0, won=1),
            id="among the two highest both still are",
        ),
        pytest.param(
            Metric(MetricKind.MAX_ABS_ERROR),
            BEFORE,
            AFTER,
            LargestError(examples=4, after=9.0),
            id="the largest error needs no labels",
        ),
        pytest.param(
            Metric(MetricKind.F1), BEFORE, BROKEN, NotFinite(4, 4), id="NaN, whatever the metric"
        ),
        pytest.param(
            Metric(MetricKind.MAX_ABS_ERROR),
            MASKED,
            MASKED,
            LargestError(examples=4, after=0.0),
            id="an infinity that the source gives too is no fault",
        ),
    ],
)
def test_evidence(metric: Metric, before: Any, after: Any, expected: Evidence) -> None:
    labels = LABELS if metric.needs_labels else None
    assert expected == compare(metric, labels, before, after)


def test_macro_metrics_count_equal_examples() -> None:
    labels, scores = np.array([0, 0, 1]), np.eye(2)[[0, 0, 0]]
    found = compare(Metric(MetricKind.RECALL), labels, scores, scores[:, ::-1])
    assert isinstance(found, PairedClasses)
    assert [2, 1] == found.counts.tolist()
    assert (0.5, 0.5) == (found.before, found.after)


def test_figures_of_counts() -> None:
    counts = PairedCounts(examples=200, right_before=180, lost=6, won=2)
    assert (0.9, 0.88, 0.02) == (counts.before, counts.after, counts.drop)


@pytest.mark.parametrize(
    ("labels", "after", "words"),
    [
        pytest.param(LABELS, AFTER[:3], "cannot be compared", id="other examples"),
        pytest.param(None, AFTER, "needs labels", id="no labels"),
    ],
)
def test_a_caller_that_errs_is_told(labels: Any, after: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compare(Metric(MetricKind.ACCURACY), labels, BEFORE, after)
