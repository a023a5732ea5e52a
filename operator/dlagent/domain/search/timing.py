"""How much faster a candidate is than the source, from times that were taken in turns.

In each round every network runs once at every batch size, so that what slows the machine down for
a while slows all of them down, and the ratio of one round is free of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlagent.domain.artifact.report import Timing

_CONFIDENCE = 0.95

# Milliseconds, float64 [rounds, batches].
Rounds = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A median with the limits that hold it with 95 % confidence, or nearly so for few values."""

    median: float
    low: float
    high: float

    def overlaps(self, other: "Interval") -> bool:
        return self.low <= other.high and other.low <= self.high


def median_interval(values: Sequence[float] | NDArray[np.float64]) -> Interval:
    """The median of independent values and its confidence interval by order statistics.

    The number of values below the median is binomial with p = 1/2, whatever their distribution
    (Hahn and Meeker, Statistical Intervals, 1991, section 5.2). Fewer than six values cannot give
    95 %: then the limits are the smallest and the largest.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    rank = _lower_rank(len(ordered))
    return Interval(
        float(np.median(ordered)), float(ordered[rank]), float(ordered[len(ordered) - 1 - rank])
    )


def relative_time(candidate: Rounds, source: Rounds) -> Interval:
    """The candidate's time as a share of the source's: 0.5 is twice as fast.

    Of each round the geometric mean over the batch sizes, so that no size counts for more because
    it takes longer; of the rounds the median.
    """
    ratios: NDArray[np.float64] = np.exp(np.mean(np.log(candidate / source), axis=1))
    return median_interval(ratios)


def as_if_beside(candidate: Rounds, beside: Rounds, source: Rounds) -> Rounds:
    """A candidate's times as they would be in the rounds of `source`.

    `beside` are the source's times in the candidate's own rounds: a machine that was busier then
    must not make a candidate look slow beside those that were timed later.
    """
    return np.asarray(candidate / beside * np.median(source, axis=0))


def timings(batches: Sequence[int], rounds: Rounds) -> list[Timing]:
    """The times by batch size, for the report."""
    result = []
    for batch, column in zip(batches, rounds.T, strict=True):
        interval = median_interval(column)
        result.append(
            Timing(
                batch=batch,
                milliseconds=_rounded(interval.median),
                low_milliseconds=_rounded(interval.low),
                high_milliseconds=_rounded(interval.high),
            )
        )
    return result


def _lower_rank(count: int) -> int:
    """The largest rank, from 0, of which the interval to its mirror image still covers enough."""
    rank = 0
    below = 0.0  # P(fewer than rank + 1 values are below the median)
    for candidate in range(count // 2):
        below += math.comb(count, candidate) / 2**count
        if 1 - 2 * below < _CONFIDENCE:
            break
        rank = candidate
    return rank


def _rounded(milliseconds: float) -> float:
    return float(f"{milliseconds:.4g}")
