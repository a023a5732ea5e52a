"""Exact bounds of paired proportions: published values, all outcomes counted, and invariants."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]  # has no types

from dlagent.domain.gate.paired import (
    PairedCounts,
    approximate_bound,
    examples_needed,
    most_likely_won,
)

# Lost, won, examples, level, and the upper limit of Tango's asymptotic score interval. Its lower
# limit is the upper one with lost and won changed over.
PUBLISHED = [
    pytest.param(0, 1, 44, 0.05, 0.037, id="contact lenses, Tango 1998"),
    pytest.param(1, 0, 44, 0.05, 0.096, id="contact lenses, the other way round"),
    pytest.param(16, 8, 86, 0.025, 0.207, id="Agresti and Min 2005"),
    pytest.param(8, 16, 86, 0.025, 0.020, id="Agresti and Min 2005, the other way round"),
    pytest.param(7, 1, 21, 0.025, 0.517, id="airways, Fagerland, Lydersen and Laake 2014"),
    pytest.param(3, 1, 14, 0.025, 0.4327, id="Tang et al. 2010"),
    pytest.param(1, 3, 14, 0.025, 0.1670, id="Tang et al., the other way round"),
]


def counts(examples: int, lost: int, won: int) -> PairedCounts:
    return PairedCounts(examples, examples - won, lost, won)


def tango_score(lost: int, won: int, n: int, drop: float) -> float:
    p_won = float(most_likely_won(np.array(lost), np.array(won), n, drop))
    return (lost - won - n * drop) / math.sqrt(n * (2 * p_won + drop * (1 - drop)))


@pytest.mark.parametrize(("lost", "won", "n", "level", "limit"), PUBLISHED)
def test_the_most_likely_chances_give_published_score_intervals(
    lost: int, won: int, n: int, level: float, limit: float
) -> None:
    at = [tango_score(lost, won, n, limit + error) for error in (-6e-4, 6e-4)]
    assert min(at) <= stats.norm.ppf(level) <= max(at)


@pytest.mark.parametrize(("lost", "won", "n", "level", "limit"), PUBLISHED[:4])
def test_exact_bounds_lie_where_published_intervals_end(
    lost: int, won: int, n: int, level: float, limit: float
) -> None:
    """To one example, where there are enough for an asymptotic interval to be a reference."""
    assert pytest.approx(limit, abs=1 / n) == counts(n, lost, won).upper_bound(level)


def test_bounds_of_many_examples_are_those_of_the_normal_distribution() -> None:
    large = counts(50_000, 700, 600)
    deviation = math.sqrt(1300) / 50_000
    expected = 0.002 + stats.norm.ppf(0.95) * deviation
    assert pytest.approx(expected, rel=0.02) == large.upper_bound(0.05)


@pytest.mark.parametrize("level", [0.05, 0.025, 0.01])
@pytest.mark.parametrize("max_drop", [0.2, 0.05, 0.01, 0.002])
def test_so_many_examples_are_needed_and_not_one_less(max_drop: float, level: float) -> None:
    needed = examples_needed(max_drop, level)
    assert needed is not None
    assert counts(needed, 0, 0).p_value(max_drop) <= level
    assert counts(needed - 1, 0, 0).p_value(max_drop) > level


@pytest.mark.parametrize(
    ("max_drop", "needed"),
    [
        pytest.param(0.01, 299, id="the rule of three: about 3 / 0.01"),
        pytest.param(0.0, None, id="no number shows that nothing at all is lost"),
        pytest.param(1.0, 1, id="all may be lost"),
    ],
)
def test_examples_needed(max_drop: float, needed: int | None) -> None:
    assert needed == examples_needed(max_drop, 0.05)


def outcomes(n: int) -> list[tuple[int, int]]:
    return [(lost, won) for lost in range(n + 1) for won in range(n + 1 - lost)]


@cache
def order(n: int) -> dict[tuple[int, int], float]:
    return {o: approximate_bound(counts(n, *o), 0.025) for o in outcomes(n)}


def chance(n: int, among: list[tuple[int, int]], p_lost: float, p_won: float) -> float:
    shares = [p_lost, p_won, max(0.0, 1 - p_lost - p_won)]
    rows = [(lost, won, n - lost - won) for lost, won in among]
    return float(stats.multinomial.pmf(rows, n, shares).sum()) if rows else 0.0


@pytest.mark.parametrize("n", [1, 5, 10])
@pytest.mark.parametrize("drop", [0.01, 0.1, 0.4])
def test_the_p_value_is_the_largest_chance_of_outcomes_no_later(n: int, drop: float) -> None:
    """Against all outcomes at 200 shares that differ; a cell costs what half its width does."""
    for lost, won in outcomes(n)[:: max(1, n // 3)]:
        interval = stats.binomtest(lost + won, n).proportion_ci(1 - 1e-6)
        if interval.high <= drop:
            continue
        shares = np.linspace(max(drop, interval.low), interval.high, 200)
        seen = order(n)[lost, won]
        earlier = [o for o in outcomes(n) if order(n)[o] <= seen + 1e-9]
        largest = max(chance(n, earlier, (s + drop) / 2, (s - drop) / 2) for s in shares)
        width = (interval.high - interval.low) / 256
        wider = max(
            chance(n, earlier, max((s + drop - width) / 2, drop), (s - drop + width) / 2)
            for s in shares
        )
        found = counts(n, lost, won).p_value(drop)
        assert largest - 1e-9 <= found
        assert found <= wider + 1e-5


@pytest.mark.parametrize(
    ("n", "level"),
    [
        (1, 0.05),
        (4, 0.05),
        (9, 0.05),
        (9, 0.0125),
        pytest.param(30, 0.05, marks=pytest.mark.slow),
    ],
)
def test_a_bound_holds_as_often_as_it_says(n: int, level: float) -> None:
    """All outcomes are counted, at chances that lie close together where few examples differ."""
    bounds = np.array([counts(n, *o).upper_bound(level) for o in outcomes(n)])
    steps = np.concatenate([np.linspace(0, 0.2, 15), np.linspace(0.25, 1, 16)])
    rows = np.array([(lost, won, n - lost - won) for lost, won in outcomes(n)])
    for p_lost in steps:
        for p_won in steps[steps <= 1 - p_lost]:
            shares = [p_lost, p_won, max(0.0, 1 - p_lost - p_won)]
            holds = bounds >= p_lost - p_won - 1e-12
            coverage = stats.multinomial.pmf(rows, n, shares)[holds].sum()
            assert coverage >= 1 - level - 1e-9, (p_lost, p_won)


@st.composite
def seen(draw: st.DrawFn) -> PairedCounts:
    n = draw(st.integers(1, 3000))
    lost = draw(st.integers(0, min(n, 40)))
    won = draw(st.integers(0, min(n - lost, 40)))
    return counts(n, lost, won)


@settings(max_examples=15, deadline=None)
@given(seen(), st.sampled_from([0.05, 0.025, 0.01]))
def test_a_bound_is_above_the_drop_and_fits_its_p_value(one: PairedCounts, level: float) -> None:
    bound = one.upper_bound(level)
    assert one.drop <= bound <= 1
    if bound < 1:
        assert one.p_value(bound) <= level
        assert one.p_value(bound - 0.01 * (bound - one.drop)) > level * 0.95


@settings(max_examples=10, deadline=None)
@given(seen())
def test_the_surer_the_higher(one: PairedCounts) -> None:
    bounds = [one.upper_bound(level) for level in (0.2, 0.05, 0.01)]
    assert sorted(bounds) == bounds


@settings(max_examples=15, deadline=None)
@given(seen(), st.floats(-0.1, 0.9), st.floats(0, 0.1))
def test_a_larger_drop_is_easier_to_rule_out(one: PairedCounts, drop: float, more: float) -> None:
    assert one.p_value(drop) >= one.p_value(drop + more)


@settings(max_examples=100, deadline=None)
@given(seen())
def test_outcomes_are_in_order_of_what_was_lost_and_won(one: PairedCounts) -> None:
    """What the search for the largest chance rests on (Barnard's convexity)."""
    own = approximate_bound(one, 0.025)
    if one.lost + one.won < one.examples:
        assert own < approximate_bound(counts(one.examples, one.lost + 1, one.won), 0.025) + 1e-9
        assert own > approximate_bound(counts(one.examples, one.lost, one.won + 1), 0.025) - 1e-9


@settings(max_examples=15, deadline=None)
@given(seen())
def test_more_lost_is_worse_and_more_that_do_not_differ_is_better(one: PairedCounts) -> None:
    own = one.upper_bound(0.05)
    tolerance = 0.02 * (own - one.drop)
    worse = counts(one.examples + 1, one.lost + 1, one.won)
    better = counts(one.examples * 2, one.lost, one.won)
    assert worse.upper_bound(0.05) >= own - tolerance
    if one.drop >= 0:
        assert better.upper_bound(0.05) <= own + tolerance


@settings(max_examples=15, deadline=None)
@given(seen(), st.floats(0.005, 0.1))
@example(counts(577, 33, 1), 0.0625)
def test_with_as_many_examples_as_it_asks_for_it_passes(one: PairedCounts, limit: float) -> None:
    needed = one.more_needed(limit, 0.05)
    if one.drop >= limit:
        assert needed is None
    elif needed is not None and needed < 200_000:
        times = needed / one.examples
        lost, won = math.ceil(times * one.lost), math.floor(times * one.won)
        assert counts(max(needed, lost + won), lost, won).p_value(limit) <= 0.05
