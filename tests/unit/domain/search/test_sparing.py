"""Which candidates wait for others, and are not made where those do."""

import pytest

from dlagent.domain.search.candidate import Candidate, Precision
from dlagent.domain.search.halving import Estimate
from dlagent.domain.search.sparing import (
    LeastTime,
    could_beat,
    least_time,
    spared_by,
    why_spared,
)
from dlagent.domain.search.timing import Interval


def candidate(name: str, smaller: str | None = None) -> Candidate:
    return Candidate(name=name, optimisation="x", precision=Precision.FP32, smaller=smaller)


def interval(time: float) -> Interval:
    return Interval(time, time - 0.01, time + 0.01)


def estimate(name: str, time: float, drop: float = 0.0) -> Estimate:
    return Estimate(candidate(name), 1.0, interval(time), drop, 0.0, 1.0, 1.0)


WIDE, MIDDLE, NARROW = (
    candidate("wide", "middle"),
    candidate("middle", "narrow"),
    candidate("narrow"),
)
OTHER = candidate("other")


@pytest.mark.parametrize(
    ("timed", "expected"),
    [
        pytest.param([], None, id="nothing was timed"),
        pytest.param([estimate("other", 0.1)], None, id="another kind's time says nothing"),
        pytest.param([estimate("middle", 0.4), estimate("narrow", 0.2)], "middle", id="the next"),
        pytest.param([estimate("narrow", 0.2)], "narrow", id="the one after where it has none"),
        pytest.param([estimate("wide", 0.6), estimate("middle", 0.4)], "wide", id="its own first"),
    ],
)
def test_the_least_time(timed: list[Estimate], expected: str | None) -> None:
    planned = {c.name: c for c in (WIDE, MIDDLE, NARROW, OTHER)}

    least = least_time(WIDE, planned, {e.candidate.name: e for e in timed})

    times = {e.candidate.name: e.time for e in timed}
    assert least == (LeastTime(expected, times[expected]) if expected is not None else None)


OWN, SMALLERS = LeastTime("wide", interval(0.5)), LeastTime("middle", interval(0.5))


@pytest.mark.parametrize(
    ("least", "complete", "by"),
    [
        pytest.param(OWN, [], None, id="nobody was made in full"),
        pytest.param(OWN, [estimate("a", 0.3, 0.01)], "a", id="a faster one just keeps enough"),
        pytest.param(OWN, [estimate("a", 0.3, 0.011)], None, id="a faster one does not keep it"),
        pytest.param(OWN, [estimate("a", 0.6)], None, id="a slower one spares nobody"),
        pytest.param(OWN, [estimate("a", 0.49)], None, id="nor does one as fast within noise"),
        pytest.param(
            OWN, [estimate("a", 0.3, 0.1), estimate("b", 0.4)], "b", id="one of them does"
        ),
        pytest.param(
            OWN, [estimate("a", 0.4), estimate("b", 0.3)], "b", id="of several the fastest is told"
        ),
        pytest.param(
            SMALLERS, [estimate("middle", 0.5)], "middle", id="the smaller one itself fits"
        ),
        pytest.param(
            SMALLERS, [estimate("middle", 0.5, 0.1)], None, id="the smaller one loses too much"
        ),
        pytest.param(
            SMALLERS,
            [estimate("middle", 0.5, 0.1), estimate("a", 0.49)],
            "a",
            id="what is as fast as the smaller one, which loses too much, fits",
        ),
        pytest.param(SMALLERS, [estimate("a", 0.52)], None, id="what fits may be slower than it"),
    ],
)
def test_who_is_spared(least: LeastTime, complete: list[Estimate], by: str | None) -> None:
    found = spared_by(WIDE, least, complete, 0.01)
    assert by == (found.candidate.name if found is not None else None)


@pytest.mark.parametrize(
    ("least", "by", "expected"),
    [
        pytest.param(
            OWN,
            estimate("a", 0.3),
            "takes 50% of the source's time; faster, and keeps the accuracy: a",
            id="it was timed",
        ),
        pytest.param(
            SMALLERS,
            estimate("middle", 0.5),
            "not needed: middle has fewer channels, and keeps the accuracy",
            id="the smaller one fits",
        ),
        pytest.param(
            SMALLERS,
            estimate("a", 0.3),
            "not needed: middle has fewer channels and takes 50% of the source's time; no slower,"
            " and keeps the accuracy: a",
            id="another one fits",
        ),
    ],
)
def test_why_it_is_spared(least: LeastTime, by: Estimate, expected: str) -> None:
    assert expected == why_spared(WIDE, least, by)


@pytest.mark.parametrize(
    ("least", "chosen", "expected"),
    [
        pytest.param(None, estimate("a", 0.3), True, id="nothing is known of its time"),
        pytest.param(OWN, None, True, id="nothing serves"),
        pytest.param(OWN, estimate("a", 0.6), True, id="what serves is slower"),
        pytest.param(OWN, estimate("a", 0.5), False, id="what serves is as fast"),
    ],
)
def test_who_might_win_after_all(
    least: LeastTime | None, chosen: Estimate | None, expected: bool
) -> None:
    assert expected is could_beat(least, chosen)
