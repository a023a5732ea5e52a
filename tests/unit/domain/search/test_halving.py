"""Who is worth more effort."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.api.types import Metric as MetricKind
from dlagent.domain.gate.limit import Limit
from dlagent.domain.gate.metrics import Metric
from dlagent.domain.search.candidate import Candidate, Precision
from dlagent.domain.search.halving import Estimate, affordable, promote
from dlagent.domain.search.timing import Interval

LIMIT = Limit(Metric(MetricKind.ACCURACY), 0.01)


def estimate(name: str, time: float, drop: float = 0.0, **changes: Any) -> Estimate:
    trained = changes.pop("trained", False)
    limits = {"at_least": drop - 0.005, "at_most": drop + 0.005}
    values = {"effort": 0.1, "seconds": 1.0, **limits, **changes}
    candidate = Candidate(name=name, optimisation="x", precision=Precision.INT8, trained=trained)
    return Estimate(candidate, time=Interval(time, time * 0.95, time * 1.05), drop=drop, **values)


@pytest.mark.parametrize(
    ("estimates", "kept"),
    [
        pytest.param([], [], id="nobody is there"),
        pytest.param([estimate("a", 0.5)], ["a"], id="a single one goes on"),
        pytest.param(
            [estimate("a", 0.5), estimate("b", 0.3), estimate("c", 0.4), estimate("d", 0.6)],
            ["b", "c"],
            id="the fastest half goes on",
        ),
        pytest.param(
            [
                estimate(n, t)
                for n, t in (("a", 0.5), ("b", 0.3), ("c", 0.4), ("d", 0.6), ("e", 0.7))
            ],
            ["b", "c", "a"],
            id="of an odd number the larger half",
        ),
        pytest.param(
            [estimate("a", 0.5), estimate("b", 0.3)],
            ["b", "a"],
            id="two at least, so that there is a next one",
        ),
        pytest.param(
            [estimate("a", 0.3, drop=0.05), estimate("b", 0.6)],
            ["b"],
            id="who surely loses too much is given up, however fast",
        ),
        pytest.param(
            [
                estimate("a", 0.3, drop=0.012),
                estimate("b", 0.4, drop=0.008),
                estimate("c", 0.5),
                estimate("d", 0.6),
            ],
            ["a", "b", "c"],
            id="who may still pass goes on, and so does the fastest that surely passes",
        ),
        pytest.param(
            [estimate("a", 0.3, drop=0.03, trained=True), estimate("b", 0.6)],
            ["a", "b"],
            id="who is trained may lose more at first",
        ),
        pytest.param(
            [estimate("a", 0.3, drop=0.2, trained=True), estimate("b", 0.6)],
            ["b"],
            id="but not any amount",
        ),
        pytest.param(
            [estimate("a", 0.3, drop=0.03, trained=True, effort=1.0), estimate("b", 0.6)],
            ["b"],
            id="nor after all of the training",
        ),
        pytest.param([estimate("a", 1.2)], [], id="who is slower than the source is given up"),
        pytest.param([estimate("a", 1.01)], ["a"], id="who may be faster within the noise goes on"),
        pytest.param([estimate("a", 1.03)], [], id="who is hardly faster at best is not worth it"),
    ],
)
def test_who_goes_on(estimates: list[Estimate], kept: list[str]) -> None:
    promotion = promote(estimates, LIMIT)

    assert kept == list(promotion.kept)
    left = {e.candidate.name for e in estimates} - set(kept)
    assert left == {name for name, _ in promotion.dropped}


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        pytest.param(
            estimate("a", 0.3, drop=0.05),
            "loses 5.00 points of Accuracy after 10% of the work",
            id="too much is lost",
        ),
        pytest.param(
            estimate("a", 1.2), "not faster than the source (120% of its time)", id="too slow"
        ),
    ],
)
def test_why_not(one: Estimate, reason: str) -> None:
    assert (("a", reason),) == promote([one], LIMIT).dropped


def test_who_is_only_slower_is_told_than_whom() -> None:
    estimates = [estimate("a", 0.5), estimate("b", 0.3), estimate("c", 0.4)]

    promotion = promote(estimates, LIMIT)

    assert (("a", "takes 50% of the source's time; faster: b, c"),) == promotion.dropped


TIMES = st.floats(min_value=0.01, max_value=2)
DROPS = st.floats(min_value=0, max_value=0.1)


@given(st.lists(st.tuples(TIMES, DROPS, st.booleans()), max_size=20))
def test_everybody_goes_on_or_is_told_why_not_and_one_that_surely_fits_is_never_lost(
    seen: list[tuple[float, float, bool]],
) -> None:
    estimates = [
        estimate(str(number), time, drop, trained=trained)
        for number, (time, drop, trained) in enumerate(seen)
    ]

    promotion = promote(estimates, LIMIT)

    names = [*promotion.kept, *(name for name, _ in promotion.dropped)]
    assert sorted(e.candidate.name for e in estimates) == sorted(names)
    sure = [e for e in estimates if e.at_most <= LIMIT.at_most and e.time.low < 0.97]
    assert not sure or any(e.candidate.name in promotion.kept for e in sure)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param(9.0, False, id="ten times the work takes ten times as long"),
        pytest.param(10.0, True, id="just enough time"),
    ],
)
def test_what_can_be_afforded(left: float, expected: bool) -> None:
    assert expected == affordable(estimate("a", 0.5, seconds=1.0), 1.0, left)


def test_what_takes_as_long_at_any_effort_is_not_multiplied() -> None:
    """To make an engine of a graph, such as 60 s of 61."""
    known = estimate("a", 0.5, seconds=61.0, start_seconds=60.0)

    assert not affordable(known, 1.0, 69.0)
    assert affordable(known, 1.0, 70.0)
