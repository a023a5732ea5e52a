"""Minutes of load: gaps, clocks that jump, and how much is kept."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.scaling.history import (
    KEPT_STEPS,
    STEP_SECONDS,
    History,
    by_minute,
    recorded,
)

NOW = 1_000_000_020.0
GAP = math.nan


def history(*rates: float, ends: float = NOW) -> History:
    return History(np.array(rates, np.float32), ends)


def told(found: History) -> list[float]:
    """With -1 for what is not known, so that it can be compared."""
    return [-1.0 if math.isnan(rate) else rate for rate in found.rates.tolist()]


def test_the_first_look_begins_the_first_minute() -> None:
    first = recorded(History(), 5.0, 60, NOW)
    assert ([], NOW) == (told(first), first.ends)
    assert [7.0] == told(recorded(first, 7.0, 60, NOW + 60))


def test_between_two_minutes_no_minute_changes() -> None:
    known = history(1, 2)
    for passed in (0, 10, 59.9):
        found = recorded(known, 9.0, 60, NOW + passed)
        assert found.rates is known.rates
        assert known.ends == found.ends


@pytest.mark.parametrize(
    ("seconds", "mean"),
    [
        pytest.param(60, 6.0, id="measured over the whole minute"),
        pytest.param(45, 5.5, id="the last two were measured in it, but for five seconds"),
        pytest.param(20, 4.0, id="the last five were"),
        pytest.param(600, 6.0, id="measured over more than a minute"),
    ],
)
def test_a_minute_has_the_mean_of_what_was_measured_within_it(seconds: float, mean: float) -> None:
    found = history(9)
    for number in range(1, 7):
        found = recorded(found, float(number), seconds, NOW + 10 * number)
    assert [9.0, mean] == told(found)
    assert () == found.looks


@pytest.mark.parametrize(
    ("passed", "rates", "ends"),
    [
        pytest.param(60, [1, 2, 9], 60, id="a minute has passed"),
        pytest.param(69, [1, 2, 9], 60, id="a tick comes late, and minutes stay whole"),
        pytest.param(130, [1, 2, -1, 9], 120, id="a minute without a tick is a gap"),
        pytest.param(-1, [1], -60, id="a clock set back a second forgets the minute not over yet"),
        pytest.param(-60, [1], -60, id="a clock set back a minute forgets that minute"),
        pytest.param(-61, [], -61, id="a clock set back further forgets the next as well"),
        pytest.param(-1e9, [], -1e9, id="a clock set back years forgets all"),
        pytest.param(1e9, [], 1e9, id="a clock set ahead years forgets all"),
    ],
)
def test_what_becomes_of_two_minutes(passed: float, rates: list[float], ends: float) -> None:
    found = recorded(history(1, 2), 9.0, 60, NOW + passed)
    assert (rates, NOW + ends) == (told(found), found.ends)


def test_after_a_clock_was_set_back_recording_goes_on() -> None:
    back = recorded(history(1, 2), 9.0, 60, NOW - 1)
    assert [1.0, 7.0] == told(recorded(back, 7.0, 60, NOW + 5))


def test_a_recorded_history_leaves_the_one_before_as_it_was() -> None:
    before = history(1, 2)
    recorded(before, 9.0, 60, NOW + 60)
    assert [1.0, 2.0] == told(before)


def test_three_days_are_kept() -> None:
    long = History(np.arange(KEPT_STEPS, dtype=np.float32), NOW)
    later = recorded(long, 9.0, 60, NOW + 120)
    assert KEPT_STEPS == len(later.rates)
    assert [2.0, GAP, 9.0] == pytest.approx(later.rates[[0, -2, -1]].tolist(), nan_ok=True)


@pytest.mark.parametrize(
    ("moment", "rates", "ends"),
    [
        pytest.param(math.inf, [1, 2, 3], 0, id="nothing is later than ever"),
        pytest.param(0, [1, 2, 3], 0, id="what ends at the moment stays"),
        pytest.param(-0.5, [1, 2], -60, id="what ends after it goes"),
        pytest.param(-60, [1, 2], -60, id="a whole minute earlier"),
        pytest.param(-180, [], -180, id="before the first minute there is nothing"),
        pytest.param(-1e6, [], -1e6, id="long before the first minute there is nothing"),
    ],
)
def test_until_a_moment(moment: float, rates: list[float], ends: float) -> None:
    found = history(1, 2, 3).until(NOW + moment)
    assert (rates, NOW + ends) == (told(found), found.ends)


def test_an_empty_history_until_a_moment_is_empty() -> None:
    assert [] == told(History().until(NOW))


@pytest.mark.parametrize(
    ("read", "rates"),
    [
        pytest.param({}, [], id="nothing was recorded"),
        pytest.param({NOW: 3.0}, [3], id="one minute"),
        pytest.param({NOW - 180: 1.0, NOW: 3.0}, [1, -1, -1, 3], id="what is missing is a gap"),
    ],
)
def test_what_was_read_back(read: dict[float, float], rates: list[float]) -> None:
    assert rates == told(by_minute(read))


def test_of_what_was_read_back_three_days_are_kept() -> None:
    found = by_minute({NOW - KEPT_STEPS * STEP_SECONDS: 1.0, NOW: 3.0})
    assert (KEPT_STEPS, 3.0) == (len(found.rates), found.rates[-1])
    assert np.isnan(found.rates[:-1]).all()


@given(
    st.lists(
        st.tuples(
            st.one_of(st.floats(-200, 400), st.floats(-1e7, 1e7)),
            st.floats(0, 1e9, width=32),
        ),
        max_size=30,
    )
)
def test_however_the_clock_goes_the_minutes_are_of_the_past(
    ticks: list[tuple[float, float]],
) -> None:
    found, now = History(), NOW
    for passed, rate in ticks:
        now += passed
        found = recorded(found, rate, 60, now)
        assert 0 <= now - found.ends < STEP_SECONDS + 1e-3
        assert len(found.rates) <= KEPT_STEPS
        assert not np.isinf(found.rates).any()
