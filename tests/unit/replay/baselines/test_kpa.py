"""Knative's KPA, against the examples of its pages and of its own tests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.replay.baselines.kpa import Buckets, Decider, kpa
from tests.unit.replay.seen import MANIFEST, NAN, seen


@pytest.mark.parametrize(
    ("target", "ready", "stable", "panic", "expected"),
    [
        # concurrency/: containerConcurrency 10 at 70 % aims at 7 each; the example of 100 at a time
        pytest.param(7, 8, 100, 100, 15, id="100 at a time, 10 a pod at 70 %"),
        pytest.param(7, 10, 70, 70, 10, id="just at the target"),
        # autoscaler_test.go
        pytest.param(10, 1, 50, 100, 10, id="PanicModeDoublePodCount"),
        pytest.param(10, 1, 50, 50, 5, id="over the threshold already in the stable window"),
        pytest.param(10, 10, 1, 1, 5, id="at most halved in one tick"),
        pytest.param(10, 1, 0, 0, 0, id="nothing is there: to zero, which the bounds forbid"),
        pytest.param(10, 0, 1000, 1000, 100, id="UseOnePodAsMinimumIfEndpointsNotFound"),
        pytest.param(0.01, 1, 1000, 1000, 1000, id="at most a thousandfold in one tick"),
        # kpa-specific/: twice as much as the pods can handle begins a panic, less does not
        pytest.param(10, 5, 50, 99, 10, id="99 where five pods are for 50: ten are twice as many"),
        pytest.param(10, 5, 50, 90, 5, id="90 where five pods are for 50: the stable window"),
    ],
)
def test_pods_follow_from_the_averages(
    target: float, ready: int, stable: float, panic: float, expected: int
) -> None:
    assert expected == Decider(target, 0.0).pods(0.0, ready, stable, panic)


def test_panic_then_no_panic() -> None:
    """TestAutoscalerPanicThenUnPanicScaleDown, but at most halved at the end (its rate is 10)."""
    decider = Decider(10, 0.0)
    assert 10 == decider.pods(0.0, 1, 100, 100)
    assert 100 == decider.pods(0.0, 10, 100, 1000)
    assert 100 == decider.pods(30.0, 10, 1, 1)
    assert 100 == decider.pods(60.0, 10, 1, 1)
    assert 5 == decider.pods(61.0, 10, 1, 1)
    assert 10 == decider.pods(63.0, 5, 1, 100)  # the next panic knows nothing of the one before


def test_a_panic_goes_on_while_there_is_reason() -> None:
    decider = Decider(1, 0.0)
    expected = [6, 36, 216, 1296, 1296]  # TestAutoscalerPanicModeExponentialTrackAndStablize
    ready = [1, 6, 36, 216, 1296]
    decided = [
        decider.pods(59.0 * tick, pods, wanted, wanted)
        for tick, (pods, wanted) in enumerate(zip(ready, expected, strict=True))
    ]
    assert expected == decided


def test_a_restart_with_several_pods_is_a_panic_without_scaling_down() -> None:
    decider = Decider(10, 0.0)
    decider.restarted(0.0, 8)
    assert 8 == decider.pods(2.0, 8, 1, 1)
    assert 4 == decider.pods(62.0, 8, 1, 1)


def test_a_restart_with_one_pod_is_none() -> None:
    decider = Decider(10, 0.0)
    decider.restarted(0.0, 1)
    assert 0 == decider.pods(2.0, 1, 0, 0)


def test_the_scale_down_delay_keeps_the_most_that_was_wanted() -> None:
    decider = Decider(1, 10.0)  # five ticks
    wanted = [5, 3, 4, 2, 2, 2, 2, 2, 2, 2]
    decided = [decider.pods(2.0 * tick, 4, pods, pods) for tick, pods in enumerate(wanted)]
    assert [5, 5, 5, 5, 5, 4, 4, 2, 2, 2] == decided


def test_an_average_is_over_what_there_is_of_the_window() -> None:
    buckets = Buckets(6.0)
    assert buckets.average(0.0) is None
    for tick, value in enumerate([3.0, 6.0, 9.0, 12.0]):
        buckets.record(2.0 * tick, value)
    assert 9.0 == buckets.average(6.0)  # the last three


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(4.0, 6.0, id="the newest value is now"),
        pytest.param(6.0, 7.5, id="two seconds of silence: of the rest of the window"),
        pytest.param(8.0, 9.0, id="four seconds of silence"),
        pytest.param(10.0, None, id="a whole window of silence"),
    ],
)
def test_silence_shortens_the_window(now: float, expected: float | None) -> None:
    buckets = Buckets(6.0)
    for tick, value in enumerate([3.0, 6.0, 9.0]):
        buckets.record(2.0 * tick, value)
    assert expected == buckets.average(now)


def test_a_gap_in_the_window_counts_as_zero() -> None:
    buckets = Buckets(6.0)
    buckets.record(0.0, 3.0)
    buckets.record(4.0, 9.0)
    assert 4.0 == buckets.average(4.0)


def test_a_rounding_error_is_cut_off() -> None:
    buckets = Buckets(6.0)
    buckets.record(0.0, 0.1)
    buckets.record(2.0, 0.2)
    assert 0.15 == buckets.average(2.0)  # and not 0.15000000000000002


def test_after_a_window_of_silence_the_average_begins_anew() -> None:
    buckets = Buckets(6.0)
    buckets.record(0.0, 3.0)
    buckets.record(10.0, 9.0)
    assert 9.0 == buckets.average(10.0)


def test_the_policy_adds_the_pods_up() -> None:
    policy = kpa("kpa", MANIFEST, 4.0, 0.0)
    assert 2.0 == policy.period_seconds
    assert 3 == policy.replicas(seen(concurrency=[5.0, 6.0, NAN], ready=[True, True, False]))


def test_a_burst_is_seen_by_the_panic_window_first() -> None:
    policy = kpa("kpa", MANIFEST, 4.0, 0.0)
    calm = [policy.replicas(seen(now=2.0 * tick, concurrency=[4.0])) for tick in range(30)]
    assert [1] * 30 == calm
    burst = [policy.replicas(seen(now=2.0 * tick, concurrency=[40.0])) for tick in range(30, 33)]
    # Of the panic window's three values one, two and three are 40; in the stable one three of 30.
    assert [4, 7, 10] == burst


def test_without_samples_the_number_stays_when_the_window_is_over() -> None:
    policy = kpa("kpa", MANIFEST, 4.0, 0.0)
    before = [
        policy.replicas(seen(now=2.0 * tick, replicas=6, concurrency=[2.0] * 6))
        for tick in range(60)
    ]
    assert 3 == before[-1]
    gap = [
        policy.replicas(seen(now=2.0 * tick, replicas=6, concurrency=[NAN] * 6))
        for tick in range(60, 120)
    ]
    assert [3] * 29 + [6] * 31 == gap


def test_before_the_first_sample_the_number_stays() -> None:
    policy = kpa("kpa", MANIFEST, 4.0, 0.0)
    assert 7 == policy.replicas(seen(concurrency=[NAN] * 7))


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1e4)), min_size=1, max_size=80),
    st.sampled_from([0.0, 10.0, 300.0]),
)
def test_one_tick_changes_it_by_no_more_than_the_rates(
    ticks: list[tuple[int, float]], delay_seconds: float
) -> None:
    decider = Decider(3.0, delay_seconds)
    for tick, (ready, concurrency) in enumerate(ticks):
        pods = decider.pods(2.0 * tick, ready, concurrency, concurrency)
        assert pods >= max(1, ready) // 2
        assert pods >= min(concurrency / 3.0, 1000 * max(1, ready))
