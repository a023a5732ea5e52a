"""Due times follow the rate: exactly where they are even, on average where they are drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.traffic.schedule import Arrivals, RateCurve, due_times

CONSTANT = RateCurve(((0, 40), (10, 40)))
RAMP = RateCurve(((0, 0), (10, 20)))
PAUSE = RateCurve(((0, 2), (1, 2), (1, 0), (5, 0), (5, 2), (6, 2)))


def even(curve: RateCurve) -> list[float]:
    found = list(due_times(curve, Arrivals.EVEN, np.random.default_rng(0)))
    return np.concatenate(found).tolist() if found else []


def poisson(curve: RateCurve, seed: int = 0) -> list[float]:
    found = list(due_times(curve, Arrivals.POISSON, np.random.default_rng(seed)))
    return np.concatenate(found).tolist() if found else []


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        pytest.param(
            RateCurve(((0, 4), (1, 4))), [0, 0.25, 0.5, 0.75], id="a constant rate: equal distances"
        ),
        pytest.param(
            RateCurve(((0, 0), (2, 2))), [0, 2**0.5], id="a rate from zero: the n-th after a root"
        ),
        pytest.param(PAUSE, [0, 0.5, 5, 5.5], id="none is due in a pause"),
        pytest.param(RateCurve(((0, 0), (9, 0))), [], id="no rate, no request"),
    ],
)
def test_even_arrivals(curve: RateCurve, expected: list[float]) -> None:
    assert pytest.approx(expected) == even(curve)


def test_even_arrivals_do_not_drift_over_many_chunks() -> None:
    found = even(RateCurve(((0, 1000), (60, 1000))))
    assert 60_000 == len(found)
    assert pytest.approx(59.999) == found[-1]


def test_poisson_arrivals_have_the_rate_and_the_spread_of_a_poisson_process() -> None:
    counts = np.histogram(poisson(RateCurve(((0, 50), (2000, 50)))), bins=2000)[0]
    assert pytest.approx(50, rel=0.02) == counts.mean()
    assert pytest.approx(50, rel=0.1) == counts.var()


def test_poisson_arrivals_follow_a_rate_that_changes() -> None:
    many = RateCurve(((0, 0), (100, 1000), (100, 100), (200, 100)))
    counts = np.histogram(poisson(many), bins=[0, 50, 100, 200])[0]
    assert pytest.approx([12_500, 37_500, 10_000], rel=0.03) == counts.tolist()


def test_the_seed_decides() -> None:
    assert poisson(CONSTANT, seed=1) == poisson(CONSTANT, seed=1)
    assert poisson(CONSTANT, seed=1) != poisson(CONSTANT, seed=2)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(-1, 0, id="before it"),
        pytest.param(0.5, 2, id="on a stretch"),
        pytest.param(1, 0, id="at a jump: what comes after"),
        pytest.param(6, 2, id="at its end"),
        pytest.param(7, 0, id="behind it"),
    ],
)
def test_rate_at_a_time(seconds: float, expected: float) -> None:
    assert expected == PAUSE.at(seconds)


def test_rate_between_two_points_is_linear() -> None:
    assert 5 == RAMP.at(2.5)
    assert 100 == RAMP.requests
    assert 10 == RAMP.duration_seconds


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(((0, 1),), id="one point"),
        pytest.param(((1, 1), (2, 1)), id="it does not begin at zero"),
        pytest.param(((0, 1), (2, -1)), id="a negative rate"),
        pytest.param(((0, 1), (2, float("nan"))), id="not a number"),
        pytest.param(((0, 1), (2, 1), (1, 1)), id="time runs back"),
    ],
)
def test_a_curve_that_means_nothing_is_refused(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match=r"points|finite"):
        RateCurve(points)


@st.composite
def curves(draw: st.DrawFn) -> RateCurve:
    length = st.just(0.0) | st.floats(1e-3, 50)
    stretch = st.tuples(length, st.floats(0, 200))
    seconds, points = 0.0, [(0.0, draw(st.floats(0, 200)))]
    for more, rate in draw(st.lists(stretch, min_size=1, max_size=6)):
        seconds += more
        points.append((seconds, rate))
    return RateCurve(tuple(points))


@given(curve=curves(), arrivals=st.sampled_from(Arrivals), seed=st.integers(0, 99))
def test_due_times_rise_and_stay_within_the_curve(
    curve: RateCurve, arrivals: Arrivals, seed: int
) -> None:
    chunks = list(due_times(curve, arrivals, np.random.default_rng(seed)))
    found = np.concatenate([np.zeros(0), *chunks])
    assert (np.diff(found) >= -1e-9).all()
    assert ((found >= 0) & (found <= curve.duration_seconds)).all()
    if arrivals is Arrivals.EVEN:
        assert int(np.ceil(curve.requests)) == len(found)
