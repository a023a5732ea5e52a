"""How much a share of right answers may have dropped: exact bounds for paired proportions.

The same examples are answered before and after. What tells of a drop is who differs: `lost` were
right before and are wrong now, `won` the other way round. Of n examples they are trinomial, with
the chances p_lost and p_won, and the drop is p_lost - p_won. Called by `evidence`.

The test of "the drop is x or more" is exact and unconditional. Outcomes are ordered, and its
p-value is the largest chance, whatever the share psi = p_lost + p_won of examples that differ, of
an outcome that speaks as strongly against it. The upper bound at a level is Buehler's: the largest
drop whose p-value is above the level. So it is within a limit exactly where the p-value of the
limit is within the level.

- Buehler (1957), "Confidence intervals for the product of two binomial parameters", JASA 52.
- Lloyd and Moldovan (2007), "Exact one-sided confidence limits for the difference between two
  correlated proportions", Statistics in Medicine 26: Buehler's bounds for paired proportions, from
  five orders. They recommend the one here: by the approximate bound that the signed root of the
  likelihood ratio gives. Here that is of one level for all, so that a bound is the higher the
  surer it is. (Ordered by Tango's score, a candidate that never differs would not be told from one
  that loses and wins now and then.)
- Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the
  paired-sample design", Statistics in Medicine 17: the most likely chances at a given drop.
- Berger and Boos (1994), "P values maximized over a confidence set for the nuisance parameter",
  JASA 89: psi is sought only where it can be, and the chance that it is elsewhere is added.

No grid can miss the largest chance. The more is lost and the less is won, the later an outcome
comes in the order, so that the chance of all outcomes up to one falls with p_lost and rises with
p_won: the chance at the lower end of p_lost and the upper end of p_won bounds a whole cell of psi.
For the same reason it falls with the drop at each psi, so that a bound needs no search for a second
crossing. A cell costs half of its width in the drop, about 1 % of the distance from the estimate to
the bound.
"""

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats  # type: ignore[import-untyped]  # has no types

Floats = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]

_OUTSIDE = 1e-6  # the chance that psi is outside of where it is sought (Berger and Boos' gamma)
_CELLS = 256
_NEGLECTED = 1e-13  # chances of single numbers of won examples that are left out
_LEFT_OUT = 1e-8  # more than all of them together
_TIE = 1e-8  # outcomes whose likelihood ratios differ by less are equal
_ORDER_LEVEL = 0.025  # of the order's approximate bound: bounds near this level are the shortest
_BRACKET = 0.05  # first steps to both sides of the approximate bound, of its distance
_EXACT = 1e-3  # how exactly a bound is found, of the same
_LARGEST_TRIED = 1_000_000  # examples up to which "so many are needed" is tried out


def examples_needed(max_drop: float, level: float) -> int | None:
    """How many examples tell that a candidate that never differs has not dropped by `max_drop`.

    Nothing lost in n examples has the chance (1 - max_drop)^n, by 5 % hence 3 / max_drop examples
    ("rule of three": Hanley and Lippman-Hand 1983, JAMA 249). None where no number does: for 0.
    """
    if max_drop <= 0:
        return None
    if max_drop >= 1:
        return 1
    return math.ceil(math.log(level - _OUTSIDE - _LEFT_OUT) / math.log1p(-max_drop))


@dataclass(frozen=True)
class PairedCounts:
    """`right_before` of `examples` were right before; `lost` and `won` of the examples differ.

    The time of a bound grows with the root of the number that differ: for 3,000 of 100,000 it is
    about two seconds.
    """

    examples: int
    right_before: int
    lost: int
    won: int

    @property
    def before(self) -> float:
        return self.right_before / self.examples

    @property
    def after(self) -> float:
        return (self.right_before - self.lost + self.won) / self.examples

    @property
    def drop(self) -> float:
        return (self.lost - self.won) / self.examples

    def p_value(self, drop: float) -> float:
        """The smallest level at which the upper bound is within `drop`."""
        low, high = self._edges[:-1], self._edges[1:]
        possible = high >= drop
        lost = np.clip((np.maximum(low, drop)[possible] + drop) / 2, 0.0, 1.0)
        won = np.clip((high[possible] - drop) / 2, 0.0, 1.0)
        largest = self._chances(lost, won).max(initial=0.0)
        return float(min(largest + _OUTSIDE + _LEFT_OUT, 1.0))

    def upper_bound(self, level: float) -> float:
        """Of the drop; it holds with a chance of at least 1 - level, 0.00001 <= level <= 0.5."""
        p_value = cache(self.p_value)
        near = approximate_bound(self, level)
        step = _BRACKET * (near - self.drop)
        low = high = near
        while p_value(low) <= level:
            if low <= self.drop:
                return self.drop
            low, high, step = max(low - step, self.drop), low, 2 * step
        while p_value(high) > level:
            if high >= 1:
                return 1.0
            low, high, step = high, min(high + step, 1.0), 2 * step
        exact = _EXACT * (near - self.drop)
        root = optimize.brentq(lambda drop: p_value(drop) - level, low, high, xtol=exact)
        return min(float(root) + 2 * exact, high)

    def apriori_needed(self, max_drop: float, level: float) -> int | None:
        """The fewest examples with which a candidate passes that never differs."""
        return examples_needed(max_drop, level)

    def more_needed(self, max_drop: float, level: float) -> int | None:
        """About how many examples show that the drop is within `max_drop`, at the rates seen here.

        Likelihood ratios grow as the examples do. None where the drop seen is not smaller.
        """
        if not self.lost and not self.won:
            return examples_needed(max_drop, level)
        ratio = signed_likelihood_ratio(
            np.array(self.lost), np.array(self.won), self.examples, max_drop
        )
        if ratio > -_TIE:
            return None
        needed = math.ceil(self.examples * float(special.ndtri(level) ** 2 / -ratio))
        while needed < _LARGEST_TRIED and self._scaled(needed).p_value(max_drop) > level:
            needed = math.ceil(needed * 1.1)
        return needed

    def _scaled(self, examples: int) -> "PairedCounts":
        """As these, of so many examples; rounded to the side of what was lost."""
        times = examples / self.examples
        lost, won = math.ceil(times * self.lost), math.floor(times * self.won)
        return PairedCounts(max(examples, lost + won), lost, lost, won)

    @cached_property
    def _order(self) -> float:
        return approximate_bound(self, _ORDER_LEVEL)

    @cached_property
    def _edges(self) -> Floats:
        """Of the cells of psi, by the Clopper-Pearson interval of the examples that differ."""
        differ, n = self.lost + self.won, self.examples
        low = stats.beta.ppf(_OUTSIDE / 2, differ, n - differ + 1) if differ else 0.0
        high = stats.beta.isf(_OUTSIDE / 2, differ + 1, n - differ) if differ < n else 1.0
        return np.linspace(float(low), float(high), _CELLS + 1)

    def _chances(self, lost: Floats, won: Floats) -> Floats:
        """[i]: the chance at lost[i] and won[i] of an outcome up to the one that was seen."""
        n = self.examples
        chances = np.zeros(len(lost))
        if not len(lost):
            return chances
        first = int(stats.binom.ppf(_NEGLECTED, n, won.min()))
        last = int(stats.binom.isf(_NEGLECTED, n, won.max()))
        numbers = np.arange(max(first, 0), last + 1)
        of_won = stats.binom.pmf(numbers, n, won[:, None])
        rows, columns = np.nonzero(of_won > _NEGLECTED)
        given = np.minimum(lost[rows] / np.maximum(1 - won[rows], np.finfo(float).tiny), 1.0)
        most = largest_lost(self, self._order, numbers)[columns]
        up_to = stats.binom.cdf(most, n - numbers[columns], given)
        np.add.at(chances, rows, of_won[rows, columns] * up_to)
        return chances


def approximate_bound(counts: PairedCounts, level: float) -> float:
    """The upper bound of the drop by the signed root of the likelihood ratio, which is not exact.

    The drop at which the root is the normal distribution's quantile at `level`, below 0.5.
    """
    lost, won = np.array(counts.lost), np.array(counts.won)
    wanted = float(special.ndtri(level)) ** 2

    def excess(drop: float) -> float:
        return float(signed_likelihood_ratio(lost, won, counts.examples, drop)) + wanted

    if counts.drop >= 1:
        return 1.0
    return float(optimize.brentq(excess, counts.drop, 1.0 - 1e-12))


def largest_lost(counts: PairedCounts, order: float, won: Integers) -> Integers:
    """For each number of won examples, the most lost ones that do not come after what was seen.

    `order` is the approximate bound of what was seen: an outcome whose likelihood ratio at that
    drop is smaller has a smaller bound. -1 where any number of lost examples comes after.
    """
    n = counts.examples
    seen = signed_likelihood_ratio(np.array(counts.lost), np.array(counts.won), n, order) + _TIE
    low, high = np.zeros(len(won), dtype=np.int64), n - won + 1
    while (low < high).any():
        middle = (low + high) // 2
        earlier = (low < high) & (signed_likelihood_ratio(middle, won, n, order) <= seen)
        low = np.where(earlier, middle + 1, low)
        high = np.where(earlier, high, middle)
    return np.maximum.accumulate(low) - 1  # the order is monotone, and rounding must not change it


def signed_likelihood_ratio(lost: Integers, won: Integers, n: int, drop: float) -> Floats:
    """2 log(L(seen) / L(most likely at this drop)), negative where the drop seen is smaller."""
    if drop < 0:
        return -signed_likelihood_ratio(won, lost, n, -drop)
    p_won = most_likely_won(lost, won, n, drop)
    same = np.maximum(1 - 2 * p_won - drop, 0.0)
    ratio = (
        special.rel_entr(lost, n * (p_won + drop))
        + special.rel_entr(won, n * p_won)
        + special.rel_entr(n - lost - won, n * same)
    )
    return np.asarray(np.sign(lost - won - n * drop) * 2 * np.maximum(ratio, 0.0))


def most_likely_won(lost: Integers, won: Integers, n: int, drop: float) -> Floats:
    """p_won that makes the counts most likely where p_lost = p_won + drop (Tango 1998)."""
    b = (2 * n - lost + won) * drop - lost - won
    c = -won * drop * (1 - drop)
    root = np.sqrt(b * b - 8 * n * c)
    # Of the two forms of the solution, the one that does not subtract like numbers.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(b > 0, -2 * c / (b + root), (root - b) / (4 * n)))
