"""Metrics of a network's answers: before and after an optimisation, as a whole and per class.

Scores are [examples, classes]; the answer is the class with the highest score, of equals the one
with the lowest index. Called by `evidence` and by the build's report.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlagent.api.types import Metric as MetricKind

Labels = NDArray[np.int64]
Scores = NDArray[Any]


@dataclass(frozen=True)
class Metric:
    """What is judged. Recall and F1 are macro: the plain mean over the classes.

    `k` is for TopK: the label must be among the k highest scores.
    """

    kind: MetricKind
    k: int = 1

    @property
    def needs_labels(self) -> bool:
        return self.kind is not MetricKind.MAX_ABS_ERROR

    def __str__(self) -> str:
        return f"Top{self.k}" if self.kind is MetricKind.TOP_K else str(self.kind)


@dataclass(frozen=True)
class ClassScore:
    """Of one class, or of its examples: shares, 0 where nothing is there to take a share of."""

    label: int
    support: int
    recall: float
    precision: float
    f1: float


@dataclass(frozen=True)
class ClassChange:
    """One row of the table per class."""

    before: ClassScore
    after: ClassScore


def answers(scores: Scores) -> Labels:
    """[i]: the class that is answered to example i."""
    return np.asarray(np.argmax(scores, axis=-1), dtype=np.int64)


def is_right(scores: Scores, labels: Labels, k: int = 1) -> NDArray[np.bool_]:
    """[i]: whether the label of example i is among its `k` highest scores, lower indexes first."""
    own = np.take_along_axis(scores, labels[:, None], axis=-1)
    earlier = np.arange(scores.shape[-1]) < labels[:, None]
    ahead = np.count_nonzero((scores > own) | ((scores == own) & earlier), axis=-1)
    return np.asarray(ahead < k)


def class_scores(labels: Labels, given: Labels) -> tuple[ClassScore, ...]:
    """Of each class that has an example, by its number."""
    size = int(max(labels.max(), given.max())) + 1
    support = np.bincount(labels, minlength=size)
    answered = np.bincount(given, minlength=size)
    right = np.bincount(labels[labels == given], minlength=size)
    return tuple(
        ClassScore(
            label=int(label),
            support=int(support[label]),
            recall=float(right[label] / support[label]),
            precision=float(right[label] / max(answered[label], 1)),
            f1=float(2 * right[label] / (support[label] + answered[label])),
        )
        for label in np.flatnonzero(support)
    )


def class_changes(labels: Labels, before: Labels, after: Labels) -> tuple[ClassChange, ...]:
    """The table per class, of the answers before and after."""
    pairs = zip(class_scores(labels, before), class_scores(labels, after), strict=True)
    return tuple(ClassChange(old, new) for old, new in pairs)


def max_abs_error(before: Scores, after: Scores) -> float:
    """The largest difference of two outputs; equal infinities do not differ."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(after.astype(np.float64) - before.astype(np.float64))
    return float(np.max(np.where(before == after, 0.0, difference), initial=0.0))
