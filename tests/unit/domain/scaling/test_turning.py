"""At which rates a decision becomes another one; what `decide` does there is the yardstick."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dlagent.domain.scaling import turning as module
from dlagent.domain.scaling.capacity import capacity
from dlagent.domain.scaling.decision import decide
from dlagent.domain.scaling.history import History
from dlagent.domain.scaling.model import Reason, ScalingSettings, ScalingState
from dlagent.domain.scaling.need import Need, able
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.domain.scaling.signals import PodSeen, Signals, Supply
from dlagent.domain.scaling.turning import Turning, turning
from dlagent.domain.scaling.values import Measured, NoData, NoTraffic

SERVICE = ServiceTime(0.040, 0.020, 8)
SETTINGS = ScalingSettings(SERVICE, 0.5, 0.99, 1, 50, 10, 120, 60)
STEPS = ((20.0, 1), (35.0, 4), (60.0, 2), (math.inf, 3))  # requests/s below which so many do
ONE = capacity(SERVICE, 0.5, 0.99)  # requests/s of one replica
NOW = 1_700_000_000.0


def load(rate: float, replicas: int, **more: object) -> Signals:
    pods = tuple(PodSeen(f"p{n}", Supply.READY, 0.0, 1.0) for n in range(replicas))
    reading = Measured(rate, NOW) if rate > 0 else NoTraffic(NOW)
    seen = Signals(reading, replicas, counted=1000 * rate, pods=pods)
    return replace(seen, **more)  # type: ignore[arg-type]


def with_history() -> ScalingState:
    """Three days of 2.4 to 2.6 replicas' load, in turns."""
    rates = np.where(np.arange(4320) % 7 < 3, 2.4 * ONE, 2.6 * ONE).astype(np.float32)
    return ScalingState(history=History(rates, NOW))


def decided(
    signals: Signals, state: ScalingState, now: float = NOW
) -> tuple[ScalingState, int, Turning]:
    state, decision = decide(state, signals, SETTINGS, now)
    one = able(signals, SETTINGS)
    assert not isinstance(one, NoData)
    return state, decision.desired, turning(signals, SETTINGS, state, one, decision.desired, now)


@pytest.mark.parametrize("state", [ScalingState(), with_history()], ids=["the load", "a forecast"])
def test_beyond_the_turning_rates_another_number_is_decided(state: ScalingState) -> None:
    state, desired, found = decided(load(2.5 * ONE, 3), state)
    assert found.more_from is not None
    assert found.fewer_below is not None
    assert found.fewer_below < 2.5 * ONE < found.more_from

    def needed(rate: float) -> int:
        return decided(load(rate, desired), state)[1]

    assert needed(found.more_from) > desired
    assert needed(0.98 * found.more_from) == desired
    later = replace(state, since=NOW - 1000, enough=(), needed=())  # a hold time has passed
    below = decide(later, load(0.98 * found.fewer_below, desired), SETTINGS, NOW)[1].desired
    assert below < desired
    above = decide(later, load(1.02 * found.fewer_below, desired), SETTINGS, NOW)[1].desired
    assert above == desired


def test_the_turning_rates_are_those_next_to_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """A higher load that was always calm may need fewer than a lower one that came in bursts."""

    def of_bursts(signals: Signals, *more: object) -> Need:
        rate = signals.arrivals.value if isinstance(signals.arrivals, Measured) else 0.0
        replicas = next(count for below, count in STEPS if rate < below)
        return Need(replicas, replicas, Reason.LOAD, "")

    monkeypatch.setattr(module, "need", of_bursts)
    one = able(load(50.0, 2), SETTINGS)
    assert not isinstance(one, NoData)
    found = turning(load(50.0, 2), SETTINGS, ScalingState(), one, 2, NOW)
    assert found.more_from == pytest.approx(60.0, rel=0.01)
    assert found.fewer_below == pytest.approx(20.0, rel=0.01)


def test_a_single_replica_is_not_one_too_many_at_any_rate() -> None:
    assert decided(load(0.5 * ONE, 1), ScalingState())[2].fewer_below is None


def test_what_waits_lets_fewer_do_only_at_a_lower_rate() -> None:
    idle = decided(load(20.0, 2), ScalingState())[2].fewer_below
    waiting = decided(load(20.0, 2, backlog=10_000.0), ScalingState())[2].fewer_below
    assert idle is not None
    assert waiting is not None
    assert waiting < 0.6 * idle


def test_fewer_come_after_the_hold_time_at_the_earliest() -> None:
    state, desired, found = decided(load(3.5 * ONE, 4), ScalingState())
    assert 4 == desired
    assert found.lower_from is None, "they are needed"
    for tick in range(1, 4):
        calm = load(1.5 * ONE, desired)
        state, desired, found = decided(calm, state, NOW + 10 * tick)
    assert 4 == desired
    assert NOW + SETTINGS.window_seconds == found.lower_from


def test_after_a_lowering_the_next_is_a_minute_away() -> None:
    state, desired, now = ScalingState(), 4, NOW
    while desired == 4:
        state, desired, found = decided(load(0.5 * ONE, desired), state, now)
        now += 10
    assert now - 10 + 60 == found.lower_from
