"""Ray Serve's autoscaler, against the example and the delays of its page."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.replay.baselines.ray import Ray
from tests.unit.replay.seen import MANIFEST, NAN, seen


def run(
    policy: Ray, totals: Sequence[float], replicas: int, start: int = 0, pods: int = 0
) -> list[int]:
    """What it decides, asked every 10 s; its decision is what there is at the next time."""
    decided = []
    for call, total in enumerate(totals, start=start):
        running = pods or replicas
        shown = seen(
            now=call * policy.period_seconds,
            replicas=replicas,
            concurrency=[total / running] * running,
        )
        replicas = policy.replicas(shown)
        decided.append(replicas)
    return decided


def test_the_page_example_with_a_target_of_one() -> None:
    """Two replicas of 100 ms and 30 requests/s: with three of them, one is ongoing in each."""
    policy = Ray("ray", MANIFEST, 1.0, 600.0)
    assert [2, 2, 2, 3, 3, 3, 3] == run(policy, [3.0] * 7, replicas=2)


@pytest.mark.parametrize(
    ("ongoing", "expected"),
    [
        pytest.param(8.0, 4, id="the target: nothing"),
        pytest.param(7.0, 4, id="rounded up: nothing"),
        pytest.param(8.1, 5, id="a little more: up"),
        pytest.param(16.0, 8, id="twice as many: twice"),
        pytest.param(1e6, 200, id="not above the maximum"),
    ],
)
def test_up_after_the_delay(ongoing: float, expected: int) -> None:
    decided = run(Ray("ray", MANIFEST, 2.0, 600.0), [ongoing] * 4, replicas=4)
    assert [4, 4, 4, expected] == decided


@pytest.mark.parametrize(
    ("ongoing", "expected"),
    [
        pytest.param(4.0, 2, id="half as many: half"),
        pytest.param(0.0, 1, id="not below the minimum"),
    ],
)
def test_down_after_ten_minutes(ongoing: float, expected: int) -> None:
    decided = run(Ray("ray", MANIFEST, 2.0, 600.0), [ongoing] * 61, replicas=4)
    assert [4] * 60 + [expected] == decided


def test_a_moment_at_the_target_begins_the_delay_anew() -> None:
    policy = Ray("ray", MANIFEST, 2.0, 60.0)
    # The 16 are in the mean of three calls, which is 8 in them: the target. The delay begins after.
    decided = run(policy, [4.0] * 5 + [16.0] + [4.0] * 12, replicas=4)
    assert [4] * 14 + [2] * 4 == decided


def test_after_a_change_the_delay_begins_anew() -> None:
    policy = Ray("ray", MANIFEST, 2.0, 600.0)
    rising = [8.0] * 3 + [16.0] * 3 + [32.0] * 6
    decided = run(policy, rising, replicas=4)
    changes = [call for call in range(1, len(decided)) if decided[call] != decided[call - 1]]
    assert all(later - earlier >= 3 for earlier, later in pairwise(changes))
    assert 16 == decided[-1]


def test_requests_are_averaged_over_the_look_back_period() -> None:
    policy = Ray("ray", MANIFEST, 2.0, 600.0)
    # At the moment of the decision: (32 + 8 + 8) / 3 = 16 requests, eight replicas
    assert [4, 4, 4, 8] == run(policy, [32.0, 32.0, 8.0, 8.0], replicas=4)


def test_lost_reports_are_no_requests_after_the_look_back_period() -> None:
    policy = Ray("ray", MANIFEST, 2.0, 60.0)
    assert [4] * 4 == run(policy, [8.0] * 4, replicas=4)
    lost = [
        policy.replicas(seen(now=10.0 * call, replicas=4, concurrency=[NAN] * 4))
        for call in range(4, 14)
    ]
    # The last report is 30 s old in the third call; 60 s later it is time.
    assert [4] * 8 + [1] == lost[:9]


def test_with_no_replica_running_it_waits() -> None:
    policy = Ray("ray", MANIFEST, 2.0, 0.0)
    shown = seen(replicas=5, concurrency=[NAN] * 5, ready=[False] * 5)
    assert 5 == policy.replicas(shown)


def test_what_comes_up_does_not_count_as_running() -> None:
    policy = Ray("ray", MANIFEST, 2.0, 600.0)
    assert 10.0 == policy.period_seconds
    assert [8, 8, 8, 8] == run(policy, [16.0] * 4, replicas=8, pods=4)


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=80), st.integers(1, 200))
def test_it_stays_within_the_bounds_and_waits_for_each_change(
    totals: list[float], start: int
) -> None:
    decided = run(Ray("ray", MANIFEST, 2.0, 60.0), totals, replicas=start)
    assert all(1 <= replicas <= 200 for replicas in decided)
    changes = [call for call in range(len(decided)) if decided[call] != [start, *decided][call]]
    assert all(later - earlier >= 3 for earlier, later in pairwise(changes))
    assert not changes or changes[0] >= 3
