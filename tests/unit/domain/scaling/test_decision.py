"""How many replicas: one row a branch, and what must hold for any signals."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.scaling.decision import decide
from dlagent.domain.scaling.model import Decision, Limit, Reason, ScalingSettings, ScalingState
from dlagent.domain.scaling.signals import PodSeen, Signals, Supply
from dlagent.domain.scaling.values import Measured, NoData, NoTraffic, Reading
from tests.unit.domain.scaling import loads
from tests.unit.domain.scaling.loads import ONE

SETTINGS = replace(loads.SETTINGS, max_replicas=10, pod_start_seconds=20)
NOW = 1000.0


def pods(count: int, supply: Supply = Supply.READY) -> tuple[PodSeen, ...]:
    return tuple(PodSeen(f"{supply.name}-{n}", supply, 0.0, 1.0) for n in range(count))


def load(times: float, replicas: int = 1, at: float = NOW, **more: object) -> Signals:
    """A load of so many times what one replica can do."""
    reading: Reading = Measured(times * ONE, at) if times > 0 else NoTraffic(at)
    return replace(Signals(reading, replicas, pods=pods(replicas)), **more)  # type: ignore[arg-type]


def once(signals: Signals, settings: ScalingSettings = SETTINGS) -> Decision:
    return decide(ScalingState(), signals, settings, NOW)[1]


def run(
    times: Sequence[float | None], replicas: int, settings: ScalingSettings = SETTINGS
) -> list[int]:
    """Decisions on loads at one tick each, where each decision is carried out; None is no data."""
    state, history = ScalingState(), []
    for number, value in enumerate(times):
        now = NOW + 10 * number
        seen = load(value or 0, replicas, now)
        if value is None:
            seen = replace(seen, arrivals=NoData("down"))
        state, decision = decide(state, seen, settings, now)
        replicas = decision.desired
        history.append(replicas)
    return history


@pytest.mark.parametrize(
    ("signals", "desired", "reason"),
    [
        pytest.param(load(0.5), 1, Reason.LOAD, id="one is enough for half a replica's load"),
        pytest.param(load(1.0), 1, Reason.LOAD, id="one is enough for exactly its capacity"),
        pytest.param(load(1.01), 2, Reason.LOAD, id="a little more needs two"),
        pytest.param(load(7.5), 8, Reason.LOAD, id="up at once, however far"),
        pytest.param(load(0), 1, Reason.NO_TRAFFIC, id="without traffic one remains"),
        pytest.param(load(0, 3), 3, Reason.HOLDING, id="fewer not before the hold time is over"),
        pytest.param(
            load(0.9, backlog=6 + 15 * ONE),
            2,
            Reason.BACKLOG,
            id="what waits beyond the next batch is worked off in fifteen seconds",
        ),
        pytest.param(load(0.9, backlog=6), 1, Reason.LOAD, id="the next batch may wait"),
        pytest.param(
            replace(load(0, 3), arrivals=NoData("down")),
            3,
            Reason.NO_DATA,
            id="without data the number stays",
        ),
        pytest.param(load(12), 10, Reason.BOUNDS, id="never above the maximum"),
        pytest.param(
            replace(load(0, 12), arrivals=NoData("down")),
            10,
            Reason.NO_DATA,
            id="the maximum counts without data too",
        ),
        pytest.param(
            load(1.5, 3, pods=(*pods(2), *pods(1, Supply.STUCK))),
            3,
            Reason.LOAD,
            id="a pod that does not come up is replaced by another",
        ),
        pytest.param(
            load(1.5, 9, pods=pods(9, Supply.STUCK)),
            9,
            Reason.HOLDING,
            id="where no pod comes up more of them do not help",
        ),
        pytest.param(
            load(1.9, 3, backlog=5000, pods=(*pods(2), *pods(1, Supply.UNSCHEDULABLE))),
            3,
            Reason.BACKLOG,
            id="while no node takes a pod none are added for what waits",
        ),
        pytest.param(
            load(3.9, 3, backlog=500, pods=(*pods(2), *pods(1, Supply.UNSCHEDULABLE))),
            4,
            Reason.LOAD,
            id="while no node takes a pod the load itself adds others",
        ),
        pytest.param(
            load(
                1.9,
                4,
                backlog=5000,
                pods=(*pods(2), *pods(1, Supply.STUCK), *pods(1, Supply.UNSCHEDULABLE)),
            ),
            4,
            Reason.BACKLOG,
            id="one that does not come up is not replaced again and again while no node is free",
        ),
        pytest.param(
            load(
                3,
                9,
                backlog=5000,
                pods=(*pods(3), *pods(5, Supply.STUCK), *pods(1, Supply.UNSCHEDULABLE)),
            ),
            9,
            Reason.HOLDING,
            id="while no node takes a pod those that there are stay for what waits",
        ),
        pytest.param(
            load(2, inferences_per_request=4.0),
            8,
            Reason.LOAD,
            id="a request of four rows needs four times as much",
        ),
    ],
)
def test_one_decision(signals: Signals, desired: int, reason: Reason) -> None:
    decision = once(signals)
    assert (desired, reason) == (decision.desired, decision.reason)


@pytest.mark.parametrize(
    ("signals", "changes", "limit"),
    [
        pytest.param(load(1), {}, None, id="within bounds nothing limits"),
        pytest.param(load(12), {}, Limit.AT_MAXIMUM, id="more is needed than allowed"),
        pytest.param(load(1), {"min_replicas": 2}, Limit.AT_MINIMUM, id="less is needed"),
        pytest.param(
            load(1), {"threshold_seconds": 0.059}, Limit.INFEASIBLE, id="a lone request is too slow"
        ),
        pytest.param(
            load(2, 2, pods=(*pods(1), *pods(1, Supply.UNSCHEDULABLE))),
            {},
            Limit.UNSCHEDULABLE,
            id="no node takes the pod",
        ),
    ],
)
def test_limits(signals: Signals, changes: dict[str, float], limit: Limit | None) -> None:
    assert limit is once(signals, replace(SETTINGS, **changes)).limit  # type: ignore[arg-type]


def test_without_batch_times_nothing_is_known() -> None:
    decision = once(load(5, 2), replace(SETTINGS, service=None))
    assert (2, Reason.NO_DATA, None) == (decision.desired, decision.reason, decision.capacity)
    assert decision.blind is not None


def test_where_the_promise_cannot_be_kept_the_replicas_still_follow_the_load() -> None:
    infeasible = replace(SETTINGS, threshold_seconds=0.059)
    assert once(load(3), infeasible).desired > 1


def test_the_message_tells_the_figures() -> None:
    message = once(load(2.5, backlog=100)).message
    assert f"{2.5 * ONE:.3g} requests/s arrive and 94 wait" in message
    assert f"one replica answers {ONE:.3g}/s within 500 ms" in message


def test_down_after_the_hold_time_one_at_a_time_and_one_a_minute() -> None:
    history = run([3.5] * 2 + [0.1] * 40, 4)
    first = history.index(3)
    assert 12 <= first <= 15
    assert [4] * first == history[:first]
    lowered = [n for n in range(1, len(history)) if history[n] < history[n - 1]]
    assert all(later - earlier >= 6 for earlier, later in pairwise(lowered))
    assert 1 == history[-1]


def test_what_is_taken_away_step_by_step_says_how_many_remain_for_now() -> None:
    state = ScalingState()
    for number in range(20):
        now = NOW + 10 * number
        state, decision = decide(state, load(0.1, 3, now), SETTINGS, now)
        if decision.desired < 3:
            break
    assert decision.message.endswith("1 replica. Fewer were enough for 120 s: 2 replicas for now.")


def test_at_the_minimum_nothing_is_taken_away_and_nothing_said_of_it() -> None:
    settings, state = replace(SETTINGS, min_replicas=3), ScalingState()
    for number in range(60):
        now = NOW + 10 * number
        state, decision = decide(state, load(0.1, 3, now), settings, now)
        assert (3, Reason.BOUNDS) == (decision.desired, decision.reason)
        assert "Fewer were enough" not in decision.message
    _, decision = decide(state, load(3.5, 3, NOW + 600), settings, NOW + 600)
    assert 4 == decision.desired
    assert state.lowered_at is None


def test_the_last_step_down_to_the_minimum_is_told_as_one() -> None:
    settings, state, found = replace(SETTINGS, min_replicas=2), ScalingState(), []
    for number in range(20):
        now = NOW + 10 * number
        state, decision = decide(state, load(0.1, 3, now), settings, now)
        found.append(decision)
        if decision.desired < 3:
            break
    assert [Reason.HOLDING] * 12 == [each.reason for each in found[:12]]
    assert (2, Reason.BOUNDS) == (decision.desired, decision.reason)
    assert decision.message.endswith("2 replicas for now.")


def test_of_many_a_quarter_may_go_at_a_time() -> None:
    history = run([9.5] * 2 + [0.1] * 14, 10)
    assert 8 == history[-1]


def test_a_load_at_the_edge_does_not_flap() -> None:
    wobbling = [1.02 if n % 2 else 0.98 for n in range(200)]
    assert {2} == set(run(wobbling, 1)[2:])


@pytest.mark.parametrize("times", [0.3, 0.97, 1.0, 1.5, 2.99, 5.2])
def test_under_a_constant_load_the_number_comes_to_rest(times: float) -> None:
    history = run([times] * 120, 10)
    assert 1 == len(set(history[100:]))


def test_after_a_gap_in_the_data_another_hold_time_passes() -> None:
    quiet: list[float | None] = [0.1] * 12
    gap: list[float | None] = [None] * 5
    history = run([2.5, *quiet, *gap, *quiet], 3)
    assert {3} == set(history)


def test_one_tick_without_data_is_no_gap() -> None:
    history = run([2.5, *[0.1] * 6, None, *[0.1] * 9], 3)
    assert 2 == history[-1]


def test_a_clock_that_jumps_back_lowers_nothing() -> None:
    state, _ = decide(ScalingState(), load(2.5, 3), SETTINGS, NOW)
    for number in range(11):
        state, _ = decide(state, load(0.1, 3), SETTINGS, NOW + 10 * number)
    _, decision = decide(state, load(0.1, 3), SETTINGS, NOW - 3600)
    assert 3 == decision.desired


def test_a_clock_that_jumps_ahead_lowers_nothing() -> None:
    state, _ = decide(ScalingState(), load(2.5, 3), SETTINGS, NOW)
    _, decision = decide(state, load(0.1, 3), SETTINGS, NOW + 86_400)
    assert 3 == decision.desired


def test_with_a_pod_that_is_not_measured_nothing_is_lowered() -> None:
    state = ScalingState()
    for number in range(40):
        seen = load(0.1, 3, missing=("pod",))
        state, decision = decide(state, seen, SETTINGS, NOW + 10 * number)
        assert 3 == decision.desired


def test_while_a_sample_is_overdue_nothing_is_lowered() -> None:
    state = ScalingState()
    for number in range(40):
        seen = load(0.1, 3, NOW + 10 * number, overdue=True)
        state, decision = decide(state, seen, SETTINGS, NOW + 10 * number)
        assert 3 == decision.desired


READINGS = st.one_of(
    st.builds(Measured, st.floats(1e-9, 1e9), st.just(NOW)),
    st.just(NoTraffic(NOW)),
    st.just(NoData("down")),
)
SIGNALS = st.builds(
    Signals,
    arrivals=READINGS,
    replicas=st.integers(0, 1000),
    backlog=st.floats(0, 1e9),
    inferences_per_request=st.floats(1, 1000),
    pods=st.lists(
        st.builds(PodSeen, st.text(), st.sampled_from(Supply), st.just(0.0)), max_size=5
    ).map(tuple),
    missing=st.sampled_from([(), ("a",)]),
)
BOUNDS = st.tuples(st.integers(1, 1000), st.integers(1, 1000)).map(lambda pair: sorted(pair))


@given(st.lists(st.tuples(SIGNALS, st.floats(-100, 1000)), min_size=1, max_size=8), BOUNDS)
def test_always_within_bounds_and_never_down_without_data(
    ticks: list[tuple[Signals, float]], bounds: list[int]
) -> None:
    settings = replace(SETTINGS, min_replicas=bounds[0], max_replicas=bounds[1])
    state, now = ScalingState(), NOW
    for signals, passed in ticks:
        now += passed
        state, decision = decide(state, signals, settings, now)
        assert bounds[0] <= decision.desired <= bounds[1]
        if isinstance(signals.arrivals, NoData):
            assert decision.desired >= min(signals.replicas, bounds[1])
        assert math.isfinite(decision.capacity or 0.0)


@given(st.floats(0.01, 50), st.floats(1, 3))
def test_more_load_never_needs_fewer(times: float, factor: float) -> None:
    wide = replace(SETTINGS, max_replicas=1000)
    assert once(load(times), wide).desired <= once(load(times * factor), wide).desired


@given(st.lists(st.floats(0.0, 8), min_size=1, max_size=60), st.integers(0, 59))
def test_a_restart_at_any_tick_never_lowers_within_three_starts(
    loads: list[float], restart: int
) -> None:
    before = run(list(loads[:restart]), 1)
    replicas = before[-1] if before else 1
    after = run(list(loads[restart : restart + 6]), replicas)
    assert all(n >= replicas for n in after)
