"""Who stands before the gate, and who serves."""

import pytest

from dlagent.domain.search.candidate import SOURCE, Candidate, Precision
from dlagent.domain.search.choice import contenders, preference, winner
from dlagent.domain.search.halving import Estimate
from dlagent.domain.search.timing import Interval


def estimate(name: str, time: float, drop: float = 0.0, noise: float = 0.01) -> Estimate:
    candidate = Candidate(name=name, optimisation="x", precision=Precision.INT8)
    interval = Interval(time, time - noise, time + noise)
    return Estimate(candidate, 1.0, interval, drop, 0.0, drop, 1.0)


def names(estimates: list[Estimate]) -> list[str]:
    return [e.candidate.name for e in estimates]


SOURCE_ITSELF = estimate(SOURCE, 1.0, noise=0)


@pytest.mark.parametrize(
    ("estimates", "expected"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param(
            [estimate("a", 0.5), estimate("b", 0.4)], ["b", "a"], id="the faster one is better"
        ),
        pytest.param(
            [estimate("a", 0.41, drop=0.001), estimate("b", 0.4, drop=0.002)],
            ["a", "b"],
            id="of two that are as fast within the noise the more accurate one",
        ),
        pytest.param(
            [estimate("a", 0.41, noise=0), estimate("b", 0.4, noise=0)],
            ["a", "b"],
            id="a difference of less than three percent is none",
        ),
        pytest.param(
            [estimate("a", 0.42, noise=0), estimate("b", 0.4, noise=0)],
            ["b", "a"],
            id="a larger one counts",
        ),
        pytest.param(
            [estimate("a", 0.41), estimate("b", 0.4)],
            ["a", "b"],
            id="of two that are equal in both the one that was planned first",
        ),
        pytest.param(
            [
                estimate("a", 0.40, drop=0.003),
                estimate("b", 0.415, drop=0.002),
                estimate("c", 0.43, drop=0.0),
            ],
            ["b", "a", "c"],
            id="a chain of ties does not reach to who is slower than the fastest",
        ),
    ],
)
def test_who_is_better(estimates: list[Estimate], expected: list[str]) -> None:
    assert expected == names(preference(estimates))


@pytest.mark.parametrize(
    ("estimates", "expected"),
    [
        pytest.param([SOURCE_ITSELF], [], id="the source alone needs no gate"),
        pytest.param(
            [SOURCE_ITSELF, estimate("a", 0.5, drop=0.02)], [], id="who loses too much is out"
        ),
        pytest.param(
            [SOURCE_ITSELF, estimate("a", 1.5), estimate("b", 0.5)],
            ["b"],
            id="who is slower than the source is out",
        ),
        pytest.param(
            [SOURCE_ITSELF, estimate("a", 1.0)],
            [],
            id="who is as fast as the source and no more accurate is out",
        ),
        pytest.param(
            [SOURCE_ITSELF, *(estimate(f"{t}", t) for t in (0.8, 0.2, 0.6))],
            ["0.2", "0.6", "0.8"],
            id="all who are faster than the source",
        ),
        pytest.param(
            [SOURCE_ITSELF, estimate("unsure", 0.8, drop=0.005, noise=0.5), estimate("a", 0.9)],
            ["a"],
            id="who is surely faster than the source, though that is preferred to a faster one",
        ),
        pytest.param(
            [estimate("a", 0.5)], ["a"], id="the source may be one of those that cannot serve"
        ),
    ],
)
def test_contenders(estimates: list[Estimate], expected: list[str]) -> None:
    assert expected == names(contenders(estimates, 0.01))


ORDERED = [estimate("a", 0.3), estimate("b", 0.5)]


@pytest.mark.parametrize(
    ("passed", "source", "expected"),
    [
        pytest.param({"a", "b"}, True, "a", id="the best that passed"),
        pytest.param({"b"}, True, "b", id="the next where the best did not"),
        pytest.param(set(), True, SOURCE, id="the source where none did"),
        pytest.param(set(), False, None, id="nobody where the source may not serve either"),
    ],
)
def test_the_winner(passed: set[str], source: bool, expected: str | None) -> None:
    assert expected == winner(ORDERED, passed, source)
