"""What the gate's examples say of one candidate and one metric, and how sure that is.

Made where the outputs are, by `compare`; judged by `decision`. Each kind of evidence answers the
same three questions: the p-value of a drop, the upper bound at a level, how many examples would do.
"""

from dataclasses import dataclass

import numpy as np

from dlagent.api.types import Metric as MetricKind
from dlagent.domain.gate.bootstrap import PairedClasses, paired_classes
from dlagent.domain.gate.metrics import (
    Labels,
    Metric,
    Scores,
    answers,
    is_right,
    max_abs_error,
)
from dlagent.domain.gate.paired import PairedCounts


@dataclass(frozen=True)
class LargestError:
    """Of all outputs of all examples, in the outputs' unit. A maximum: it has no interval."""

    examples: int
    after: float
    before: float = 0.0

    @property
    def drop(self) -> float:
        return self.after

    def p_value(self, drop: float) -> float:
        return 0.0 if self.after <= drop else 1.0

    def upper_bound(self, level: float) -> float:  # noqa: ARG002  # the same at each
        return self.after


@dataclass(frozen=True)
class NotFinite:
    """The candidate gives NaN or an infinity for `affected` examples where the source does not."""

    examples: int
    affected: int


Evidence = PairedCounts | PairedClasses | LargestError | NotFinite


def compare(metric: Metric, labels: Labels | None, before: Scores, after: Scores) -> Evidence:
    """The evidence of the source's outputs, before, and a candidate's, after, on the same examples.

    Outputs are [examples, classes] with labels; for MaxAbsError of any shape, and labels may be
    None.

    Raises:
        ValueError: shapes that differ, no examples, or no labels where the metric needs them.
    """
    if before.shape != after.shape or not len(before):
        raise ValueError(f"outputs of shapes {before.shape} and {after.shape} cannot be compared")
    broken = np.isfinite(before) & ~np.isfinite(after)
    if broken.any():
        affected = broken.reshape(len(broken), -1).any(axis=1)
        return NotFinite(len(after), int(np.count_nonzero(affected)))
    if metric.kind is MetricKind.MAX_ABS_ERROR:
        return LargestError(len(after), max_abs_error(before, after))
    if labels is None:
        raise ValueError(f"{metric} needs labels")
    if metric.kind in (MetricKind.RECALL, MetricKind.F1):
        return paired_classes(metric.kind, labels, answers(before), answers(after))
    was, now = is_right(before, labels, metric.k), is_right(after, labels, metric.k)
    return PairedCounts(
        examples=len(labels),
        right_before=int(np.count_nonzero(was)),
        lost=int(np.count_nonzero(was & ~now)),
        won=int(np.count_nonzero(now & ~was)),
    )
