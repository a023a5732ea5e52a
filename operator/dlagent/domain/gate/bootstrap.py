"""How much a macro metric may have dropped: BCa bootstrap of paired examples.

Bias-corrected and accelerated: Efron (1987), "Better bootstrap confidence intervals", JASA 82;
equations (14.10), (14.14) and (14.15) of Efron and Tibshirani (1993), "An Introduction to the
Bootstrap". Called by `evidence`.

scipy.stats.bootstrap does the same on the examples, for which its jackknife takes n^2 numbers.
Here examples with the same label and the same two answers are of one kind, and counts of kinds are
drawn and left out: time and memory grow with the number of kinds alone. A test compares the two.

The draws come from a generator that is seeded by the counts: the same data give the same bound.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special  # type: ignore[import-untyped]  # has no types

from dlagent.api.types import Metric as MetricKind
from dlagent.domain.gate.metrics import Labels
from dlagent.domain.gate.paired import examples_needed

Floats = NDArray[np.float64]
# Sums of features [samples, features] to the statistic of each sample.
Statistic = Callable[[Floats], Floats]

_RESAMPLES = 9999
_DIGITS = 12
_ROUNDING = 10.0**-_DIGITS
_CHUNK = 2_000_000  # numbers at a time


@dataclass(frozen=True, eq=False)
class Bca:
    """Of one statistic: what the samples gave, by size, and the two corrections.

    Where all samples gave the same, the bound is the estimate.
    """

    estimate: float
    resampled: Floats
    bias: float
    acceleration: float

    def upper_bound(self, level: float) -> float:
        """Approximate, with a chance of 1 - level; 1 where the samples are too few to tell."""
        if self._degenerate:
            return self.estimate
        shifted = self.bias - special.ndtri(level)
        scale = 1 - self.acceleration * shifted
        share = special.ndtr(self.bias + shifted / scale) if scale > 0 else 1.0
        rank = int(np.ceil((len(self.resampled) + 1) * share))
        return float(self.resampled[max(rank, 1) - 1]) if rank <= len(self.resampled) else 1.0

    def p_value(self, drop: float) -> float:
        """The smallest level at which the upper bound is within `drop`."""
        if self._degenerate:
            return 0.0 if self.estimate <= drop else 1.0
        within = int(np.searchsorted(self.resampled, drop, side="right"))
        smallest = 1 / (len(self.resampled) + 1)
        away = float(special.ndtri(within * smallest)) - self.bias
        scale = 1 + self.acceleration * away
        if within == 0 or scale <= 0:
            return 1.0 if away < 0 else smallest
        return max(float(special.ndtr(self.bias - away / scale)), smallest)

    @property
    def _degenerate(self) -> bool:
        return bool(self.resampled[0] == self.resampled[-1])


def bca(counts: NDArray[np.int64], features: Any, statistic: Statistic) -> Bca:
    """Of a statistic of the sums of features over all examples.

    `counts` has how many examples there are of each kind, above 0; `features` is a sparse matrix
    [kinds, features].
    """
    examples = int(counts.sum())
    sums = counts[None, :] @ features
    estimate = float(statistic(sums)[0])
    seed = hashlib.sha256(counts.astype("<i8").tobytes()).digest()
    generator = np.random.default_rng(np.frombuffer(seed, dtype="<u4"))
    drawn = [
        statistic(generator.multinomial(examples, counts / examples, size=size) @ features)
        for size in _chunks(_RESAMPLES, max(features.shape))
    ]
    resampled = np.sort(np.concatenate(drawn))
    below = np.count_nonzero(resampled < estimate) + np.count_nonzero(resampled <= estimate)
    share = np.clip(below / (2 * _RESAMPLES), 1 / (2 * _RESAMPLES), 1 - 1 / (2 * _RESAMPLES))
    ends = np.cumsum(_chunks(*features.shape))
    left_out = [
        statistic(sums - features[first:end].toarray())
        for first, end in pairwise([0, *ends.tolist()])
    ]
    acceleration = _acceleration(counts, np.concatenate(left_out))
    return Bca(estimate, resampled, float(special.ndtri(share)), acceleration)


def _acceleration(counts: NDArray[np.int64], left_out: Floats) -> float:
    """Equation (14.15): `left_out` is the statistic without one example of each kind."""
    away = np.average(left_out, weights=counts) - left_out
    spread = float(counts @ away**2)
    return float(counts @ away**3) / (6 * spread**1.5) if spread > 0 else 0.0


def _chunks(rows: int, columns: int) -> list[int]:
    most = max(1, _CHUNK // columns)
    return [min(most, rows - start) for start in range(0, rows, most)]


@dataclass(frozen=True, eq=False)
class PairedClasses:
    """`counts` of examples that have the same label, answer before, and answer after.

    A bootstrap cannot see what did not happen: where no example differs it would say that none
    does. So neither bound nor p-value is better than what the number of examples allows for a
    candidate that never differs from what was seen. Which examples count is those of the rarest
    class, times the number of classes: one of n lost in one of C classes costs 1 / (C n).
    """

    kind: MetricKind
    labels: Labels
    answers_before: Labels
    answers_after: Labels
    counts: NDArray[np.int64]

    @property
    def examples(self) -> int:
        return int(self.counts.sum())

    @property
    def before(self) -> float:
        return self._metrics[0]

    @property
    def after(self) -> float:
        return self._metrics[1]

    @property
    def drop(self) -> float:
        return self.before - self.after

    def p_value(self, drop: float) -> float:
        """The smallest level at which the upper bound is within `drop`."""
        if drop <= self.drop:
            return 1.0
        unseen = (1 - min(drop - self.drop, 1.0)) ** self._telling
        return max(self._bca.p_value(drop), float(unseen))

    def upper_bound(self, level: float) -> float:
        """Of the drop, with a chance of about 1 - level."""
        unseen = -np.expm1(np.log(level) / self._telling)
        return max(self._bca.upper_bound(level), self.drop + float(unseen))

    def apriori_needed(self, max_drop: float, level: float) -> int | None:
        """The fewest examples with which a candidate passes that never differs."""
        needed = examples_needed(max_drop, level)
        return None if needed is None else self._so_many_times(needed / self._telling)

    def more_needed(self, max_drop: float, level: float) -> int | None:
        """About how many examples show that the drop is within `max_drop`, by what is seen here.

        The distance of the bound falls with the root. None where the drop seen is not smaller.
        """
        room = max_drop - self.drop
        needed = examples_needed(room, level)
        if needed is None or room < _ROUNDING:
            return None
        spread = self._bca.upper_bound(level) - self.drop
        return self._so_many_times(max(needed / self._telling, (spread / room) ** 2))

    def _so_many_times(self, times: float) -> int:
        return int(np.ceil(times * self.examples))

    @cached_property
    def _telling(self) -> int:
        support = np.unique(self.labels, return_inverse=True)[1]
        rarest = int(np.bincount(support, weights=self.counts).min())
        return rarest * (int(support.max()) + 1)

    @cached_property
    def _metrics(self) -> tuple[float, float]:
        before, after = self._macro(self.counts[None, :] @ self._features)
        return float(before[0]), float(after[0])

    @cached_property
    def _bca(self) -> Bca:
        def drop(sums: Floats) -> Floats:
            # Equal drops must be equal: what is below the estimate is counted.
            before, after = self._macro(sums)
            return np.round(before - after, _DIGITS)

        return bca(self.counts, self._features, drop)

    @cached_property
    def _features(self) -> Any:
        """Of each class: its examples, and before and after those right and those answered so."""
        classes = np.unique(self.labels)
        columns = [_indicator(self.labels, classes)]
        for given in (self.answers_before, self.answers_after):
            right = np.where(given == self.labels, given, -1)
            columns += [_indicator(right, classes), _indicator(given, classes)]
        return sparse.hstack(columns, format="csr")

    def _macro(self, sums: Floats) -> tuple[Floats, Floats]:
        """Before and after, of each row of sums. A class that a row lacks counts 0 in both."""
        support, *of_answers = np.split(sums, 5, axis=1)
        return self._mean(support, *of_answers[:2]), self._mean(support, *of_answers[2:])

    def _mean(self, support: Floats, right: Floats, answered: Floats) -> Floats:
        if self.kind is MetricKind.RECALL:
            return np.asarray((right / np.maximum(support, 1)).mean(axis=1))
        return np.asarray((2 * right / np.maximum(support + answered, 1)).mean(axis=1))


def _indicator(values: Labels, classes: Labels) -> Any:
    """[i, j]: whether values[i] is classes[j]; a sparse matrix."""
    places = np.minimum(np.searchsorted(classes, values), len(classes) - 1)
    rows = np.flatnonzero(classes[places] == values)
    ones = np.ones(len(rows))
    return sparse.csr_array((ones, (rows, places[rows])), shape=(len(values), len(classes)))


def paired_classes(
    kind: MetricKind, labels: Labels, before: Labels, after: Labels
) -> PairedClasses:
    """Of the answers to each example."""
    kinds, counts = np.unique(np.stack([labels, before, after]), axis=1, return_counts=True)
    return PairedClasses(kind, kinds[0], kinds[1], kinds[2], counts.astype(np.int64))
