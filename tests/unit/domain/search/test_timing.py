"""Medians with their intervals, and times relative to the source."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.search.timing import (
    Interval,
    as_if_beside,
    median_interval,
    relative_time,
    timings,
)

POSITIVE = st.floats(min_value=1e-3, max_value=1e3)


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [
        # Hahn and Meeker, table of order statistics for a 95 % interval of the median.
        pytest.param(6, 1, 6, id="six values: all of them"),
        pytest.param(8, 1, 8, id="eight values: all of them"),
        pytest.param(9, 2, 8, id="nine values: without the outermost"),
        pytest.param(25, 8, 18, id="twenty-five values"),
        pytest.param(3, 1, 3, id="three values cannot give 95 %: all of them"),
        pytest.param(1, 1, 1, id="one value is its own interval"),
    ],
)
def test_the_interval_is_made_of_order_statistics(count: int, low: int, high: int) -> None:
    values = np.arange(1.0, count + 1)

    interval = median_interval(values)

    assert Interval(float(np.median(values)), low, high) == interval


@given(st.lists(POSITIVE, min_size=1, max_size=40))
def test_the_median_lies_in_its_interval_and_the_order_of_values_does_not_count(
    values: list[float],
) -> None:
    interval = median_interval(values)

    assert interval.low <= interval.median <= interval.high
    assert median_interval(values[::-1]) == interval


@given(
    st.lists(st.tuples(POSITIVE, POSITIVE), min_size=3, max_size=20),
    st.lists(POSITIVE, min_size=20, max_size=20),
    st.floats(min_value=0.1, max_value=10),
)
def test_what_slows_a_whole_round_down_does_not_change_the_relative_time(
    source: list[tuple[float, float]], slow: list[float], factor: float
) -> None:
    rounds = np.asarray(source)
    machine = np.asarray(slow[: len(source)])[:, None]

    relative = relative_time(rounds * machine * factor, rounds * machine)

    assert relative.median == pytest.approx(factor)
    assert relative.low == pytest.approx(factor)
    assert relative.high == pytest.approx(factor)


def test_no_batch_size_counts_for_more_than_another() -> None:
    source = np.asarray([[1.0, 100.0]] * 9)
    candidate = np.asarray([[0.25, 100.0]] * 9)

    assert relative_time(candidate, source).median == pytest.approx(0.5)


def test_the_report_has_each_batch_size_with_its_interval() -> None:
    rounds = np.asarray([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])

    first, second = timings([1, 8], rounds)

    assert (1, 2.0, 1.0, 3.0) == (
        first.batch,
        first.milliseconds,
        first.low_milliseconds,
        first.high_milliseconds,
    )
    assert (8, 20.0) == (second.batch, second.milliseconds)


def test_a_time_from_a_busy_hour_is_told_as_of_the_hour_of_the_source() -> None:
    busy = np.asarray([[4.0, 40.0], [6.0, 60.0]])
    candidate = busy * 0.5
    quiet = np.asarray([[1.0, 10.0], [1.0, 12.0], [1.0, 11.0]])

    assert [[0.5, 5.5], [0.5, 5.5]] == as_if_beside(candidate, busy, quiet).tolist()
