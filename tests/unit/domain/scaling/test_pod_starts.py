"""How long pods take to start, from those that were seen to."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.rollout.seen import Pod
from dlagent.domain.scaling.pod_starts import PodStarts, pod_start_seconds, pod_starts

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SINCE = BEGAN.timestamp()


def pod(name: str, taken: float | None, created: float = 10.0) -> Pod:
    born = BEGAN + timedelta(seconds=created)
    if taken is None:
        return Pod(name, created=born)
    return Pod(name, ready=True, created=born, ready_since=born + timedelta(seconds=taken))


def seen(*taken: float) -> PodStarts:
    pods = [pod(f"pod-{number}", its) for number, its in enumerate(taken)]
    return pod_starts(PodStarts(SINCE), pods)


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        pytest.param((), 60, id="without a start the prior stands"),
        pytest.param((5,), 60, id="one quick start may be luck"),
        pytest.param((5, 5), 60, id="two as well"),
        pytest.param((5, 6, 7), 7, id="three quick starts are believed, the slowest of them"),
        pytest.param((90,), 90, id="a slow start is believed at once"),
        pytest.param((*[10] * 18, 99, 99), 10, id="a tenth of the starts may take longer"),
        pytest.param((*[10] * 17, 99, 99, 99), 99, id="but no more"),
        pytest.param((*[99] * 9, *[10] * 20), 10, id="only the last twenty count"),
        pytest.param((0, 0, 0), 1, id="a start takes a second at least"),
        pytest.param((5, 6, 7, 90_000), 7, id="what waited for hours is no start"),
        pytest.param((-5, -5, -5), 1, id="two clocks that differ give no start below zero"),
    ],
)
def test_a_start(taken: Sequence[float], expected: float) -> None:
    assert expected == pod_start_seconds(seen(*taken), 60)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(pod("a", None), id="it is not ready yet"),
        pytest.param(pod("a", 30, created=-1), id="it was there before"),
        pytest.param(Pod("a", ready=True), id="nobody knows when it was created"),
    ],
)
def test_a_pod_that_tells_nothing(other: Pod) -> None:
    assert () == pod_starts(PodStarts(SINCE), [other]).seconds


def test_a_pod_counts_once_and_by_its_first_start() -> None:
    known = pod_starts(PodStarts(SINCE), [pod("a", 30)])
    known = pod_starts(known, [pod("a", None)])
    known = pod_starts(known, [pod("a", 500)])
    assert (30,) == known.seconds


def test_pods_that_are_gone_are_not_kept() -> None:
    known = pod_starts(PodStarts(SINCE), [pod("a", 30), pod("b", 30)])
    known = pod_starts(known, [pod("b", 30)])
    assert frozenset({"b"}) == known.counted
    assert (30, 30) == known.seconds


@given(st.lists(st.floats(-10, 1e6), max_size=60), st.floats(1, 600))
def test_a_start_is_one_of_those_that_were_seen_or_the_prior(
    taken: list[float], prior: float
) -> None:
    known = seen(*taken)
    assert len(known.seconds) <= 20
    assert pod_start_seconds(known, prior) in {*known.seconds, prior}
