"""The books of the error budget, beside figures worked out by hand, and what a miss is worth."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.scaling.budget import Budget, Spending, burn_rate, price, spent

DAY, HOUR, QUARTER = 86_400.0, 3600.0, 900.0
NOW = 20_000 * DAY + HOUR  # the end of a quarter of an hour
OBJECTIVE = 0.99
ONE = 30.0  # requests/s of one replica
MEANT = burn_rate(Budget(), OBJECTIVE, DAY, 0, NOW)  # the share of the budget that is to be spent


def kept(*quarters: tuple[float, float, float]) -> Budget:
    """(seconds ago, requests, missed)."""
    return Budget(tuple(Spending(NOW - ago, many, late) for ago, many, late in quarters))


def test_a_quarter_of_an_hour_is_one_sum() -> None:
    budget = Budget()
    for tick in range(90):
        budget = spent(budget, 10.0, 1.0 if tick % 2 else 0.0, NOW + 10 * tick)
    assert kept((0, 900, 45)) == budget


def test_the_next_quarter_of_an_hour_is_another_sum() -> None:
    budget = spent(spent(Budget(), 10.0, 1.0, NOW + 899), 20.0, 2.0, NOW + 900)
    assert kept((0, 10, 1), (-900, 20, 2)) == budget


@pytest.mark.parametrize(
    ("now", "left"),
    [
        pytest.param(NOW + DAY, (0, QUARTER), id="a day later the first is still there"),
        pytest.param(NOW + DAY + 1, (QUARTER,), id="after a day it is forgotten"),
        pytest.param(NOW + QUARTER - 1, (0,), id="a clock set back forgets what is not yet"),
        pytest.param(NOW - DAY, (), id="a clock set back a day forgets all"),
        pytest.param(NOW + 900 * DAY, (), id="a clock set far ahead forgets all"),
    ],
)
def test_what_is_left_without_traffic(now: float, left: tuple[float, ...]) -> None:
    budget = kept((0, 10, 1), (-QUARTER, 20, 2))
    found = spent(budget, 0.0, 0.0, now)
    assert tuple(NOW + later for later in left) == tuple(one.begins for one in found.bins)


def test_without_traffic_nothing_is_written() -> None:
    assert Budget() == spent(Budget(), 0.0, 0.0, NOW)
    budget = kept((0, 10, 1))
    assert spent(budget, 0.0, 0.0, NOW + QUARTER) is budget


@pytest.mark.parametrize(
    ("budget", "seconds", "prior", "rate"),
    [
        pytest.param(Budget(), DAY, 500, MEANT, id="the prior alone is what is meant"),
        pytest.param(kept((0, 1000, 10)), DAY, 0, 1, id="as many as allowed"),
        pytest.param(kept((0, 1000, 30)), DAY, 0, 3, id="three times as many"),
        pytest.param(kept((0, 1000, 0)), DAY, 0, 0, id="none"),
        pytest.param(
            kept((0, 1000, 30)), DAY, 1000, (30 + 10 * MEANT) / 20, id="a prior of as many requests"
        ),
        pytest.param(
            kept((2 * HOUR, 1000, 30), (0, 1000, 0)), HOUR, 0, 0, id="what is older is not counted"
        ),
        pytest.param(
            kept((2 * HOUR, 1000, 30), (0, 1000, 0)), DAY, 0, 1.5, id="in the day it still counts"
        ),
        pytest.param(
            kept((HOUR + QUARTER - 1, 1000, 30)), HOUR, 0, 3, id="a sum that is part of the hour"
        ),
    ],
)
def test_the_burn_rate_by_hand(budget: Budget, seconds: float, prior: float, rate: float) -> None:
    assert rate == pytest.approx(burn_rate(budget, OBJECTIVE, seconds, prior, NOW))


def priced(budget: Budget, rate: float = ONE, objective: float = OBJECTIVE) -> float:
    return price(budget, objective, ONE, rate, NOW)


# One replica at capacity for an hour answers 108,000 requests, of which 1,080 may miss; a sixth of
# a replica-hour for each one in a hundred: 1 / (6 * 30 * 0.01) replica-seconds a request.
FIRST = 1 / 1.8


def through_the_day(burn: float) -> Budget:
    """The same share of the allowed misses at each quarter of an hour."""
    requests = ONE * QUARTER
    return kept(*((ago * QUARTER, requests, burn * 0.01 * requests) for ago in range(95, -1, -1)))


def test_the_price_at_first() -> None:
    assert FIRST == pytest.approx(priced(Budget()))


def test_some_of_the_budget_is_meant_to_be_kept() -> None:
    assert 0.3 < MEANT < 1


def test_the_price_stays_while_as_much_is_spent_as_is_meant() -> None:
    assert FIRST == pytest.approx(priced(through_the_day(MEANT)))


def test_the_price_by_hand() -> None:
    requests = ONE * QUARTER * 96
    day = (requests + MEANT * ONE * 3 * HOUR) / (requests + ONE * 3 * HOUR)
    hour_requests = ONE * QUARTER * 5  # with the sum of which the hour's beginning is part
    prior = ONE * HOUR
    hour = (hour_requests + MEANT * prior) / (hour_requests + prior)
    expected = FIRST * (day / MEANT) ** 2 * max(1.0, hour)
    assert expected == pytest.approx(priced(through_the_day(1.0)), rel=0.02)


def test_the_faster_the_budget_is_spent_the_dearer_a_miss() -> None:
    prices = [priced(through_the_day(burn)) for burn in (0, 0.3, 0.6, 0.9, 1.2)]
    assert sorted(set(prices)) == prices
    assert prices[0] < FIRST < prices[-1]


def test_an_hour_that_burns_counts_beside_a_good_day() -> None:
    day = through_the_day(0.2).bins
    bad = tuple(replace(one, missed=0.05 * one.requests) for one in day[-4:])
    assert priced(Budget((*day[:-4], *bad))) > 2 * priced(Budget(day))


def test_the_first_misses_of_a_day_are_not_the_share_of_a_day() -> None:
    requests = ONE * 60
    first = kept((0, requests, 0.1 * requests))  # ten times as many as allowed, for a minute
    assert priced(first) < 1.5 * FIRST


DEAREST = priced(through_the_day(100.0)) / FIRST
CHEAPEST = priced(kept((0, 1000, 0)), rate=0.0) / FIRST


def test_a_price_is_bounded() -> None:
    assert 0.01 < CHEAPEST < 1 < DEAREST < 100
    assert DEAREST * FIRST == pytest.approx(priced(through_the_day(1000.0)))


def test_more_misses_than_requests_are_as_dear_as_can_be() -> None:
    assert DEAREST * FIRST == pytest.approx(priced(kept((0, 1e-200, 1.0)), rate=0.0))


def test_a_stricter_promise_makes_a_miss_dearer() -> None:
    assert 10 * FIRST == pytest.approx(priced(Budget(), objective=0.999))


@given(
    st.lists(st.tuples(st.floats(-1e5, 1e5), st.floats(0, 1e12), st.floats(0, 1)), max_size=30),
    st.floats(0, 1e9),
    st.floats(0.5, 0.9999),
)
def test_whatever_is_spent_the_price_is_bounded_and_a_day_is_kept(
    ticks: list[tuple[float, float, float]], rate: float, objective: float
) -> None:
    budget, now = Budget(), NOW
    for passed, requests, share in ticks:
        now += passed
        budget = spent(budget, requests, share * requests, now)
        begins = [one.begins for one in budget.bins]
        assert sorted(set(begins)) == begins
        assert len(begins) <= 97
        first = price(Budget(), objective, ONE, 0.0, now)
        found = price(budget, objective, ONE, rate, now)
        assert math.isfinite(found)
        assert CHEAPEST * first * (1 - 1e-9) <= found <= DEAREST * first * (1 + 1e-9)
