"""The HorizontalPodAutoscaler, against the examples of its page and of its own tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.replay.baselines import replica
from dlagent.replay.baselines.hpa import (
    Hpa,
    by_average_value,
    by_pods_metric,
    by_value,
    hpa_busy,
    hpa_latency,
    hpa_rps,
)
from dlagent.replay.policy import Seen
from tests.unit.replay.seen import MANIFEST, NAN, seen


@pytest.mark.parametrize(
    ("values", "ready", "target", "current", "expected"),
    [
        # The page, "Algorithm details"
        pytest.param([0.2, 0.2], [1, 1], 0.1, 2, 4, id="200m where 100m are wanted: doubled"),
        pytest.param([0.05] * 4, [1] * 4, 0.1, 4, 2, id="50m where 100m are wanted: halved"),
        pytest.param([0.11, 0.11], [1, 1], 0.1, 2, 2, id="within the tolerance above: nothing"),
        pytest.param([0.09, 0.09], [1, 1], 0.1, 2, 2, id="within the tolerance below: nothing"),
        pytest.param(
            [0.05, 0.05, 0.05, NAN], [1] * 4, 0.1, 4, 3, id="down, a missing pod is at its target"
        ),
        pytest.param([0.2, 0.2, NAN], [1] * 3, 0.1, 3, 4, id="up, a missing pod is idle"),
        pytest.param([0.2, 0.2, NAN], [1, 1, 0], 0.1, 3, 4, id="up, a pending pod is idle"),
        pytest.param(
            [0.05, 0.05, NAN, NAN], [1, 1, 0, 0], 0.1, 4, 1, id="down, pending pods do not count"
        ),
        pytest.param(
            [0.095, 0.095, NAN, NAN],
            [1, 1, 0, 0],
            0.1,
            4,
            4,
            id="within the tolerance, pending pods do not count",
        ),
        pytest.param(
            [0.12, NAN], [1, 1], 0.1, 4, 4, id="the missing pod would turn the direction: nothing"
        ),
        pytest.param(
            [0.215, NAN], [1, 1], 0.1, 2, 2, id="with the missing pod within tolerance: nothing"
        ),
        pytest.param(
            [0.05, NAN, NAN], [1] * 3, 0.1, 2, 2, id="more pods than asked for, down: not up"
        ),
        pytest.param([0.3, NAN], [1, 1], 0.1, 4, 4, id="fewer pods than asked for, up: not down"),
        pytest.param([0.1, NAN], [1, 1], 0.1, 2, 2, id="just at the target, one missing: nothing"),
        pytest.param([NAN, NAN], [1, 1], 0.1, 2, None, id="no pod has metrics: not to be had"),
        pytest.param([NAN, NAN], [0, 0], 0.1, 2, None, id="no pod is ready: not to be had"),
        pytest.param([], [], 0.1, 2, None, id="there is no pod: not to be had"),
        pytest.param([0.2, 0.2, 0.2], [1] * 3, 0.2 / 3, 3, 9, id="no rounding error adds a pod"),
        # replica_calculator_test.go
        pytest.param([20, 10, 30], [1] * 3, 15, 3, 4, id="ScaleUpCM"),
        pytest.param(
            [50, 10, 30], [1, 1, 0], 15, 3, 6, id="UnreadyHotCpuNoLessScale: with metrics, counted"
        ),
        pytest.param(
            [50, 15, 30], [0, 1, 0], 15, 3, 7, id="UnreadyHotCpuScaleWouldScaleDown: counted too"
        ),
        pytest.param([12] * 5, [1] * 5, 20, 5, 3, id="ScaleDownCM"),
        pytest.param([20, 21, 21], [1] * 3, 20, 3, 3, id="ToleranceCM"),
    ],
)
def test_a_pods_metric(
    values: list[float], ready: list[int], target: float, current: int, expected: int | None
) -> None:
    flags = np.array(ready, dtype=bool)
    assert expected == by_pods_metric(np.array(values, dtype=float), flags, target, current)


@pytest.mark.parametrize(
    ("value", "ready", "target", "current", "expected"),
    [
        pytest.param(20.0, 3, 15.0, 3, 4, id="ScaleUpCMObject"),
        pytest.param(50.0, 1, 10.0, 3, 5, id="ScaleUpCMObjectIgnoresUnreadyPods"),
        pytest.param(8.6, 1, 4.4, 3, 2, id="ScaleUpCMExternalIgnoresUnreadyPods"),
        pytest.param(12.0, 5, 20.0, 5, 3, id="ScaleDownCMObject"),
        pytest.param(20.666, 3, 20.0, 3, 3, id="ToleranceCMObject"),
    ],
)
def test_a_value(value: float, ready: int, target: float, current: int, expected: int) -> None:
    assert expected == by_value(value, ready, target, current)


@pytest.mark.parametrize(
    ("value", "pods", "target", "expected"),
    [
        pytest.param(8.6, 3, 2.15, 4, id="ScaleUpPerPodCMExternal"),
        pytest.param(8.6, 5, 2.867, 3, id="ScaleDownPerPodCMExternal"),
        pytest.param(8.6, 3, 2.9, 3, id="TolerancePerPodCMExternal"),
        pytest.param(8.6, 0, 2.9, 3, id="there is no pod to compare with"),
        pytest.param(0.0, 3, 2.9, 0, id="nothing comes"),
    ],
)
def test_an_average_value(value: float, pods: int, target: float, expected: int) -> None:
    assert expected == by_average_value(value, pods, target)


class Recommendations:
    """An HPA that is told what to recommend, and takes what it decided for what there is."""

    def __init__(self, replicas: int, stabilization_seconds: float = 300.0) -> None:
        self.replicas = replicas
        self._now = 0.0
        self._wanted: int | None = None
        self._hpa = Hpa("test", lambda _: self._wanted, stabilization_seconds)

    def wants(self, wanted: int | None) -> int:
        self._wanted = wanted
        shown = seen(now=self._now, replicas=self.replicas)
        self._now += self._hpa.period_seconds
        self.replicas = self._hpa.replicas(shown)
        return self.replicas


def test_up_by_four_or_by_all_each_sync_whichever_is_more() -> None:
    hpa = Recommendations(1)
    assert [5, 10, 20, 40, 50] == [hpa.wants(50) for _ in range(5)]


def test_down_only_when_nothing_within_the_window_was_higher() -> None:
    hpa = Recommendations(10)
    decided = [hpa.wants(wanted) for wanted in [9, *[3] * 21]]
    # The ten that were there, a recommendation at 0 s, count in the syncs up to 285 s.
    assert [10] * 20 == decided[:20]
    assert [3, 3] == decided[20:]


def test_down_goes_to_the_highest_within_the_window() -> None:
    hpa = Recommendations(10, stabilization_seconds=60.0)
    # Four syncs are in the window, and what was there at the start counts as a recommendation.
    assert [10, 10, 10, 10, 8, 7, 5] == [hpa.wants(wanted) for wanted in [8, 8, 7, 5, 5, 5, 5]]


def test_down_at_once_without_a_window() -> None:
    hpa = Recommendations(100, stabilization_seconds=0.0)
    assert 1 == hpa.wants(1)


def test_metrics_that_are_not_to_be_had_change_nothing_and_are_not_recorded() -> None:
    hpa = Recommendations(10)
    assert 12 == hpa.wants(12)
    assert [12] * 40 == [hpa.wants(None) for _ in range(40)]
    assert 4 == hpa.wants(4)


@given(st.lists(st.none() | st.integers(0, 300), min_size=1, max_size=60), st.integers(1, 200))
def test_never_lower_than_what_is_wanted_and_never_above_the_limit(
    wanted: list[int | None], start: int
) -> None:
    hpa = Recommendations(start)
    for each in wanted:
        before = hpa.replicas
        after = hpa.wants(each)
        limit = max(before + 4, 2 * before)
        assert after <= limit
        if each is None:
            assert after == before
        else:
            assert after >= min(each, limit)


@given(st.lists(st.integers(0, 100), min_size=25, max_size=60), st.integers(1, 100))
def test_the_way_down_ends_at_the_highest_of_the_last_five_minutes(
    wanted: list[int], start: int
) -> None:
    hpa = Recommendations(start)
    for each in wanted:
        hpa.wants(each)
    # Where it is lower, the limit of the way up was in the way.
    assert hpa.replicas <= max(wanted[-20:])


def asked(hpa: Hpa, shown: Seen) -> int:
    assert 15.0 == hpa.period_seconds
    return hpa.replicas(shown)


def test_requests_per_second_are_compared_with_the_capacity() -> None:
    one = replica.requests_per_second(MANIFEST)
    hpa = hpa_rps("hpa-rps", MANIFEST, 0.5, 300.0)
    assert 4 == asked(hpa, seen(rates=[one, one]))


def test_the_busy_share_is_in_percent() -> None:
    hpa = hpa_busy("hpa-busy", MANIFEST, 50.0, 0.0)
    assert 3 == asked(hpa, seen(busy=[0.7, 0.8]))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param(
            seen(rates=[9, 9], p99_seconds=0.8), 4, id="twice the target: twice the ready pods"
        ),
        pytest.param(
            seen(rates=[9, 9], ready=[True, False], replicas=2, p99_seconds=0.8),
            2,
            id="only ready pods are multiplied",
        ),
        pytest.param(seen(rates=[9, 9], p99_seconds=0.1), 1, id="a quarter: down"),
        pytest.param(
            seen(rates=[0, 0, 0], p99_seconds=NAN), 0, id="nothing was answered: the adapter says 0"
        ),
        pytest.param(seen(rates=[NAN] * 3, p99_seconds=NAN), 3, id="nothing was scraped: as it is"),
    ],
)
def test_latency_is_compared_with_the_threshold(shown: Seen, expected: int) -> None:
    hpa = hpa_latency("hpa-latency", MANIFEST, 0.8, 0.0)
    assert expected == asked(hpa, shown)
