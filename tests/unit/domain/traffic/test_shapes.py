"""Each shape goes where its name says, and a trace keeps its form when it is scaled."""

import numpy as np
import pytest

from dlagent.domain.traffic import shapes
from dlagent.domain.traffic.schedule import RateCurve
from dlagent.domain.traffic.shapes import RateRange
from dlagent.domain.traffic.trace import Trace

RATES = RateRange(5, 65)
TRACE = Trace(60, np.array([60.0, 240.0, 120.0, 60.0]))  # 1, 4, 2, 1 a second


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        pytest.param(shapes.constant(40, 100), [40, 40, 40, 40, 40], id="constant"),
        pytest.param(shapes.ramp(RATES, 100), [5, 42.5, 65, 42.5, 5], id="ramp"),
        pytest.param(shapes.steps(RATES, 100), [5, 25, 65, 25, 5], id="steps"),
        pytest.param(shapes.from_trace(TRACE, 100), [1, 4, 2, 1, 1], id="trace, its own rates"),
        pytest.param(
            shapes.from_trace(TRACE, 100, RATES), [5, 65, 25, 5, 5], id="trace, to the range"
        ),
        pytest.param(
            shapes.from_trace(TRACE, 100, multiply=10), [10, 40, 20, 10, 10], id="trace, multiplied"
        ),
    ],
)
def test_shapes(curve: RateCurve, expected: list[float]) -> None:
    assert pytest.approx(expected) == [curve.at(seconds) for seconds in (0, 25, 50, 75, 100)]
    assert 100 == curve.duration_seconds


def test_steps_have_equal_lengths_and_four_levels() -> None:
    curve = shapes.steps(RATES, 70)
    assert [5, 25, 45, 65, 45, 25, 5] == [curve.at(s + 5) for s in range(0, 70, 10)]


def test_a_trace_at_its_own_pace_has_as_many_requests_as_it_had() -> None:
    curve = shapes.from_trace(TRACE, TRACE.duration_seconds)
    assert pytest.approx(480) == curve.requests


def test_a_trace_whose_rate_never_changes_has_no_range() -> None:
    with pytest.raises(ValueError, match="never changes"):
        shapes.from_trace(Trace(60, np.full(5, 7.0)), 100, RATES)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        pytest.param(-1, 5, id="negative"),
        pytest.param(6, 5, id="the wrong way round"),
        pytest.param(0, 0, id="no load at all"),
        pytest.param(1, float("inf"), id="without end"),
        pytest.param(float("nan"), 1, id="not a number"),
    ],
)
def test_a_range_that_means_nothing_is_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="low rate"):
        RateRange(low, high)
