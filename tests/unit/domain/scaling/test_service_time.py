"""The line through what a build measured, and what it is where the points do not make one."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlagent.domain.scaling.service_time import ServiceTime, fit_service_time

LINE = [(1, 0.06), (2, 0.08), (4, 0.12), (8, 0.2)]


@pytest.mark.parametrize(
    ("points", "max_batch", "line"),
    [
        pytest.param(LINE, 8, (0.04, 0.02), id="points on a line give the line"),
        pytest.param(LINE[::-1], 8, (0.04, 0.02), id="their order says nothing"),
        pytest.param(
            [*LINE, (3, math.nan), (5, math.inf), (6, 0.0), (7, -1.0), (0, 1.0)],
            8,
            (0.04, 0.02),
            id="what is no time of a batch is left out",
        ),
        pytest.param([(2, 0.02), (8, 0.08)], 8, (0.0, 0.01), id="a line through zero"),
        pytest.param(
            [(1, 0.01), (2, 0.04)], 2, (0.0, 0.012), id="never less than nothing for no request"
        ),
        pytest.param(
            [(1, 0.1), (2, 0.1), (4, 0.05)],
            4,
            (0.2 / 3, 0.0),
            id="never faster for more: flat, and short times count for more",
        ),
        pytest.param([(1, 0.06)], 1, (0.06, 0.0), id="a model without batches has one point"),
        pytest.param(
            [(8, 0.2)], 8, (0.2, 0.0), id="the largest batch alone: no batch takes longer"
        ),
        pytest.param([(16, 0.2)], 8, (0.2, 0.0), id="and so with one that is larger still"),
        pytest.param(
            [(1, 0.06)], 8, (0.0, 0.06), id="one request alone: batches are taken to gain nothing"
        ),
        pytest.param(
            [(2, 0.06), (2, 0.06)],
            8,
            (0.06 - 0.18 / 7, 0.18 / 7),
            id="one size between: flat up to it, in proportion above it, a line over both",
        ),
    ],
)
def test_fit(points: list[tuple[int, float]], max_batch: int, line: tuple[float, float]) -> None:
    found = fit_service_time(points, max_batch, 0.001)
    assert found is not None
    assert (max_batch, 0.001) == (found.max_batch, found.delay_seconds)
    assert line == pytest.approx((found.base_seconds, found.per_item_seconds), abs=1e-12)


@pytest.mark.parametrize(
    "points",
    [
        pytest.param([], id="nothing was measured"),
        pytest.param([(1, math.nan), (2, 0.0)], id="nothing usable was measured"),
    ],
)
def test_no_fit(points: list[tuple[int, float]]) -> None:
    assert fit_service_time(points, 8) is None


def test_relative_errors_count() -> None:
    """A tenth more at batch 1 moves the line as far there as a tenth more at 64 does at 64."""
    true = [(batch, 0.001 + 0.001 * batch) for batch in (1, 64)]
    noisy = [(batch, seconds * factor) for batch, seconds in true for factor in (0.9, 1.1)]
    found = fit_service_time(noisy, 64)
    assert found is not None
    errors = [found.seconds(batch) / seconds - 1 for batch, seconds in true]
    assert errors[0] == pytest.approx(errors[1], rel=1e-6)


@given(
    st.lists(st.tuples(st.integers(1, 128), st.floats(1e-6, 1e3)), min_size=1, max_size=12),
    st.integers(1, 128),
)
def test_any_points_give_times_that_a_service_can_have(
    points: list[tuple[int, float]], max_batch: int
) -> None:
    found = fit_service_time(points, max_batch)
    assert found is not None
    assert 0 < found.seconds(1) <= found.seconds(max_batch)


@example(29.0, 1, 9)  # the slope is rounded up
@given(st.floats(1e-6, 1e3), st.integers(1, 64), st.integers(2, 64))
def test_one_size_is_never_read_as_faster_than_it_can_be(
    seconds: float, batch: int, max_batch: int
) -> None:
    found = fit_service_time([(batch, seconds)], max_batch)
    assert found is not None
    for other in range(1, max_batch + 1):
        slowest = seconds * max(1.0, other / batch)
        assert found.seconds(other) >= slowest * (1 - 1e-9)


@pytest.mark.parametrize(
    ("base", "slope", "max_batch", "delay"),
    [
        pytest.param(-0.1, 0.2, 1, 0.0, id="a negative base"),
        pytest.param(0.2, -0.1, 1, 0.0, id="a time that falls"),
        pytest.param(math.nan, 0.1, 1, 0.0, id="NaN"),
        pytest.param(0.1, math.inf, 1, 0.0, id="no end"),
        pytest.param(0.1, 0.1, 1, -1.0, id="a negative delay"),
        pytest.param(0.0, 0.0, 1, 0.0, id="no time at all"),
        pytest.param(0.1, 0.1, 0, 0.0, id="no request in a batch"),
    ],
)
def test_times_that_no_service_has(base: float, slope: float, max_batch: int, delay: float) -> None:
    with pytest.raises(ValueError):
        ServiceTime(base, slope, max_batch, delay)


def test_what_follows_from_the_times() -> None:
    service = ServiceTime(0.04, 0.02, 8, 0.005)
    assert service.seconds(8) == pytest.approx(0.2)
    assert service.saturation == pytest.approx(40)
    assert service.lone_seconds == pytest.approx(0.065)


def test_a_batch_of_one_waits_for_nobody() -> None:
    assert ServiceTime(0.04, 0.02, 1, 0.005).lone_seconds == pytest.approx(0.06)
