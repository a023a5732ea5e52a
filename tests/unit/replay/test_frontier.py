"""The frontier of a sweep, and what it costs to attain as much as another policy."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.replay.frontier import Point, cost_at, frontier


def points(*pairs: tuple[float, float]) -> list[Point]:
    return [Point(str(number), *pair) for number, pair in enumerate(pairs)]


@pytest.mark.parametrize(
    ("given_points", "names"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([(0.9, 5)], ["0"], id="one"),
        pytest.param([(0.9, 5), (0.8, 6)], ["0"], id="dearer and worse"),
        pytest.param([(0.9, 5), (0.99, 9), (0.95, 6)], ["0", "2", "1"], id="all three"),
        pytest.param([(0.9, 5), (0.99, 9), (0.95, 8)], ["0", "1"], id="above the line of two"),
        pytest.param([(0.9, 5), (0.9, 4), (0.9, 4)], ["1"], id="the cheapest of equals"),
        pytest.param([(0.9, 5), (0.95, 5)], ["1"], id="the best of equal costs"),
    ],
)
def test_frontier(given_points: list[tuple[float, float]], names: list[str]) -> None:
    assert names == [each.name for each in frontier(points(*given_points))]


@pytest.mark.parametrize(
    ("attained", "expected"),
    [
        pytest.param(0.5, 5, id="below the cheapest: as much as the cheapest"),
        pytest.param(0.9, 5, id="at a point"),
        pytest.param(0.96, 7, id="between two, linear"),
        pytest.param(0.98, 9, id="at the best"),
        pytest.param(0.981, math.inf, id="above the best"),
    ],
)
def test_cost_at(attained: float, expected: float) -> None:
    hull = frontier(points((0.9, 5), (0.94, 5), (0.98, 9)))
    assert pytest.approx(expected) == cost_at(hull, attained)


def test_nothing_attains_anything() -> None:
    assert math.inf == cost_at((), 0.5)


shares = st.floats(0, 1)


@given(st.lists(st.tuples(shares, st.floats(0.1, 100)), min_size=1, max_size=12), shares)
def test_no_point_lies_below_its_frontier(pairs: list[tuple[float, float]], asked: float) -> None:
    hull = frontier(points(*pairs))
    for attained, cost in pairs:
        assert cost_at(hull, attained) <= cost * (1 + 1e-9)
    assert cost_at(hull, asked) <= cost_at(hull, max(asked, hull[-1].attained))
