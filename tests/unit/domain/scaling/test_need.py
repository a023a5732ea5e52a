"""How many replicas are needed, by what may come: one row a branch."""

import math
from dataclasses import replace

import numpy as np
import pytest

from dlagent.domain.scaling.budget import Budget, Spending
from dlagent.domain.scaling.foresight import Foresight, Outlook, foresee
from dlagent.domain.scaling.history import DAY_STEPS, STEP_SECONDS, History
from dlagent.domain.scaling.model import Reason, ScalingSettings, ScalingState
from dlagent.domain.scaling.need import Able, Need, able, enough, foreseen_with, need
from dlagent.domain.scaling.signals import PodSeen, Signals, Supply
from dlagent.domain.scaling.values import Measured, NoData, NoTraffic, Reading
from tests.unit.domain.scaling import loads
from tests.unit.domain.scaling.loads import ONE, SERVICE, Floats, counted, daily, history

SETTINGS = replace(loads.SETTINGS, max_replicas=100_000)
ABLE = Able(ONE, SERVICE.saturation, feasible=True)
OUTLOOK = Outlook(SERVICE, 0.5, SETTINGS.lead_seconds, SETTINGS.window_seconds)


def learned(rates: Floats) -> ScalingState:
    known = history(rates)
    return ScalingState(history=known, foresight=foresee(known, OUTLOOK, known.ends))


def bursts(times: float) -> Floats:
    """Once a quarter of an hour so many times as much as else."""
    rates = np.full(2 * DAY_STEPS, 0.7 * ONE)
    rates[::15] *= times
    return rates


STEADY = learned(np.full(2 * DAY_STEPS, 2.5 * ONE))
NOISY = learned(counted(np.full(2 * DAY_STEPS, 2.5 * ONE)))
BURSTS = learned(bursts(2.5))


def load(times: float, replicas: int = 1, **more: object) -> Signals:
    """A load of so many times what one replica can do."""
    reading: Reading = Measured(times * ONE, 0) if times > 0 else NoTraffic(0)
    pods = tuple(PodSeen(str(n), Supply.READY, 0.0, 1.0) for n in range(min(replicas, 9)))
    seen = Signals(reading, replicas, counted=3000, pods=pods)
    return replace(seen, **more)  # type: ignore[arg-type]


def needed(
    state: ScalingState, signals: Signals, settings: ScalingSettings = SETTINGS, one: Able = ABLE
) -> Need:
    now = max(0.0, state.history.ends)
    return need(signals, settings, state, one, now)


@pytest.mark.parametrize(
    ("state", "signals", "replicas", "reason"),
    [
        pytest.param(STEADY, load(2.5, 3), 3, Reason.LOAD, id="what has always come needs three"),
        pytest.param(STEADY, load(0.5, 3), 1, Reason.LOAD, id="less load needs fewer"),
        pytest.param(
            BURSTS, load(0.7, 2), 2, Reason.FORECAST, id="bursts that may come are provided for"
        ),
        pytest.param(
            STEADY,
            load(2.5, 3, backlog=10_000),
            5,
            Reason.BACKLOG,
            id="for what waits others can at most take all that comes",
        ),
        pytest.param(STEADY, load(0, 3), 1, Reason.NO_TRAFFIC, id="without traffic one remains"),
    ],
)
def test_what_is_needed(
    state: ScalingState, signals: Signals, replicas: int, reason: Reason
) -> None:
    found = needed(state, signals)
    assert (replicas, reason) == (found.replicas, found.reason)


def test_a_small_excess_of_load_is_borne_while_the_budget_allows_it() -> None:
    crowded = load(2.02, 2)
    assert 2 == needed(STEADY, crowded).replicas
    assert 3 == enough(2.02 * ONE, ABLE)


def overspent(state: ScalingState, share: float) -> ScalingState:
    begins = state.history.ends - 4 * 3600
    return replace(state, budget=Budget((Spending(begins, 1e6, share * 1e6),)))


def test_a_spent_budget_asks_for_more_and_one_not_spent_for_fewer() -> None:
    spent = [
        needed(overspent(NOISY, share), load(2.02, 2)).replicas for share in (0.0, 0.005, 0.05)
    ]
    assert sorted(spent) == spent
    assert spent[0] < spent[-1]


def test_what_is_there_is_kept_sooner_than_as_much_is_started() -> None:
    times = np.arange(1.9, 2.3, 0.01)
    up = [needed(STEADY, load(float(each), 2)).replicas for each in times]
    down = [needed(STEADY, load(float(each), 3)).replicas for each in times]
    assert all(more >= fewer for more, fewer in zip(down, up, strict=True))
    assert sum(down) > sum(up)


def test_after_a_regret_fewer_must_do_at_a_tenth_more() -> None:
    now = STEADY.history.ends
    edge = load(1.95, 3)
    calm = needed(STEADY, edge)
    careful = needed(replace(STEADY, regretted_at=now - 3599), edge)
    forgotten = needed(replace(STEADY, regretted_at=now - 3600), edge)
    assert (2, 2) == (calm.replicas, calm.to_lower)
    assert (2, 3) == (careful.replicas, careful.to_lower)
    assert 2 == forgotten.to_lower


def test_figures_of_what_is_expected() -> None:
    found = needed(BURSTS, load(0.7, 2)).expected
    assert found is not None
    assert OUTLOOK.lead_seconds + OUTLOOK.hold_seconds == found.seconds
    assert 0.7 * ONE < found.rate < 1.1 * ONE
    assert 1.75 * ONE == pytest.approx(found.peak, rel=0.1)


def test_what_is_missed_is_told_of_any_number_of_replicas() -> None:
    expected, foresight = needed(BURSTS, load(0.7, 2)).expected, BURSTS.foresight
    assert expected is not None
    assert foresight is not None
    found = [foreseen_with(n, expected, foresight, 2, ABLE) for n in (1, 2, 3, 4)]
    missed = [each.missed for each in found]
    assert sorted(missed, reverse=True) == missed
    assert missed[0] > missed[-1]
    everything = expected.rate * expected.seconds
    assert [everything, *missed[:-1]] == [each.missed_with_one_less for each in found]


def test_a_forecast_is_believed_up_to_four_times_the_present_load() -> None:
    foresight = STEADY.foresight
    assert foresight is not None
    weights = foresight.forecast.weights.copy()
    weights[0] += 100  # e^100 times as much
    wild = replace(foresight, forecast=replace(foresight.forecast, weights=weights))
    found = needed(replace(STEADY, foresight=wild), load(2.5, 3)).expected
    assert found is not None
    assert 10 * ONE == pytest.approx(found.rate, rel=0.15)


def test_where_no_replica_can_keep_the_promise_the_load_decides() -> None:
    found = needed(BURSTS, load(0.7, 2), one=Able(ONE, SERVICE.saturation, feasible=False))
    assert (1, None) == (found.replicas, found.expected)


@pytest.mark.parametrize("replicas", [1, 40, 80, 3000, 100_000])
@pytest.mark.parametrize("times", [0.3, 39.2, 62.7, 2500.5, 90_000.2])
def test_among_many_numbers_the_cheapest_is_found(times: float, replicas: int) -> None:
    state, signals = NOISY, load(times, replicas)
    found = needed(state, signals)
    foresight = state.foresight
    assert foresight is not None
    assert found.expected is not None
    everything = np.arange(1.0, 250_000)
    rate = math.log(found.expected.rate + foresight.forecast.floor)
    missed = foresight.missed(rate, everything, replicas, SERVICE.saturation)
    started = np.maximum(0, everything - replicas) * 3 * SETTINGS.pod_start_seconds
    costs = everything * found.expected.seconds + started + found.expected.price * missed
    assert costs[found.replicas - 1] == pytest.approx(costs.min(), rel=1e-6)


def test_however_much_comes_the_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    missed = Foresight.missed

    def counts(self: Foresight, rate: float, numbers: Floats, *more: float) -> Floats:
        looked_at.append(len(numbers))
        return missed(self, rate, numbers, *more)

    monkeypatch.setattr(Foresight, "missed", counts)
    signals = replace(load(1, 1_000_000), arrivals=Measured(1e9, 0))
    found = needed(STEADY, signals, replace(SETTINGS, max_replicas=10_000_000))
    assert found.replicas > 1e9 / ABLE.saturation
    assert sum(looked_at) < 1000


@pytest.mark.parametrize("objective", [0.5, 0.8, 0.99])
@pytest.mark.parametrize("times", [0.9, 2.5, 9.0])
def test_no_promise_is_so_cheap_that_all_is_missed(objective: float, times: float) -> None:
    settings = replace(SETTINGS, objective=objective)
    one = able(load(times), settings)
    assert isinstance(one, Able)
    saved = replace(STEADY, budget=overspent(STEADY, 0.0).budget)
    found = needed(saved, load(times, 3), settings, one)
    assert found.replicas >= times * ONE / one.saturation


def test_beyond_what_is_looked_at_the_load_tells_how_many() -> None:
    signals = replace(load(1), arrivals=Measured(1e9, 0))
    found = needed(STEADY, signals, replace(SETTINGS, max_replicas=10))
    assert 1e9 / ONE == pytest.approx(found.replicas, rel=0.2)


def test_rises_of_each_day_are_provided_for_before_they_come() -> None:
    rates = daily(3 * DAY_STEPS, mean=6 * ONE, swing=0.9)
    settings = replace(SETTINGS, pod_start_seconds=600)
    outlook = Outlook(SERVICE, 0.5, settings.lead_seconds, settings.window_seconds)
    known = history(rates)
    foresight = foresee(known, outlook, known.ends)
    now = known.ends - DAY_STEPS * STEP_SECONDS
    state = ScalingState(history=known.until(now), foresight=foresight)
    present = float(rates[len(state.history.rates) - 1])
    signals = load(present / ONE, enough(present, ABLE))
    assert needed(state, signals, settings).replicas > enough(present, ABLE)


@pytest.mark.parametrize("rows", [1.0, 4.0])
def test_what_one_replica_can_do(rows: float) -> None:
    found = able(load(1, inferences_per_request=rows), SETTINGS)
    assert Able(ONE / rows, SERVICE.saturation / rows, feasible=True) == found


def test_without_batch_times_nothing_is_known() -> None:
    assert isinstance(able(load(1), replace(SETTINGS, service=None)), NoData)


def test_without_a_history_the_load_decides() -> None:
    found = needed(ScalingState(history=History()), load(2.5, 3))
    assert (3, 3, None) == (found.replicas, found.to_lower, found.expected)
