"""What must hold for any signals and any past, once a decision rests on a forecast."""

import math
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dlagent.domain.scaling.budget import Budget, Spending
from dlagent.domain.scaling.capacity import attained_share
from dlagent.domain.scaling.decision import decide
from dlagent.domain.scaling.history import DAY_STEPS, STEP_SECONDS
from dlagent.domain.scaling.model import Decision, Reason, ScalingSettings, ScalingState
from dlagent.domain.scaling.signals import PodSeen, Signals, Supply
from dlagent.domain.scaling.values import Measured, NoData, NoTraffic, Reading
from tests.unit.domain.scaling.loads import ONE, SERVICE, SETTINGS, Floats, counted, daily, history

TICK = 10.0
POD = (PodSeen("pod", Supply.READY, 0.0, 1.0),)


def bursts() -> Floats:
    rates = counted(np.full(2 * DAY_STEPS, 2 * ONE))
    rates[::61] *= 4
    return rates


def on_and_off() -> Floats:
    return counted(np.where(np.arange(2 * DAY_STEPS) // 45 % 2, 6 * ONE, 0.0))


PASTS = {
    "steady": counted(np.full(2 * DAY_STEPS, 2.5 * ONE)),
    "daily": counted(daily(3 * DAY_STEPS, mean=5 * ONE, swing=0.95)),
    "bursts": bursts(),
    "on and off": on_and_off(),
    "an hour": counted(np.full(60, 2.5 * ONE)),
    "with gaps": np.where(np.arange(3000) % 7, counted(np.full(3000, ONE)), math.nan),
    "no load": np.zeros(2000),
}
NAMES = st.sampled_from(sorted(PASTS))


@cache
def learned(name: str) -> tuple[ScalingState, float]:
    """A state that has learned from a past, and now."""
    known = history(PASTS[name])
    state = ScalingState(history=known)
    state, _ = decide(state, seen(2.0, 3, known.ends), SETTINGS, known.ends)
    assert state.foresight is not None
    return state, known.ends + TICK


def seen(times: float, replicas: int, now: float, **more: object) -> Signals:
    """A load of so many times what one replica can do."""
    reading: Reading = Measured(times * ONE, now) if times > 0 else NoTraffic(now)
    signals = Signals(reading, replicas, counted=600 * times, pods=POD * min(replicas, 50))
    return replace(signals, **more)  # type: ignore[arg-type]


def blind(replicas: int) -> Signals:
    return Signals(NoData("down"), replicas)


READINGS = st.one_of(
    st.builds(Measured, st.floats(1e-9, 1e9), st.just(0.0)),
    st.builds(Measured, st.floats(ONE / 10, 10 * ONE), st.just(0.0)),
    st.just(NoTraffic(0.0)),
    st.just(NoData("down")),
)
SIGNALS = st.builds(
    Signals,
    arrivals=READINGS,
    replicas=st.integers(0, 1000),
    backlog=st.floats(0, 1e9),
    counted=st.floats(0, 1e9),
    inferences_per_request=st.floats(0.1, 1000),
    missing=st.sampled_from([(), ("a",)]),
    requests=st.floats(0, 1e9),
    missed=st.floats(0, 1e6),
)
BOUNDS = st.tuples(st.integers(1, 1000), st.integers(1, 1000)).map(lambda pair: sorted(pair))
PASSED = st.one_of(st.just(TICK), st.floats(-100, 1000), st.floats(-1e7, 1e7))


@given(NAMES, st.lists(st.tuples(SIGNALS, PASSED), min_size=1, max_size=6), BOUNDS)
def test_within_bounds_never_down_without_data_and_all_is_finite(
    name: str, ticks: list[tuple[Signals, float]], bounds: list[int]
) -> None:
    settings = replace(SETTINGS, min_replicas=bounds[0], max_replicas=bounds[1])
    state, now = learned(name)
    for signals, passed in ticks:
        now += passed
        state, decision = decide(state, signals, settings, now)
        assert bounds[0] <= decision.desired <= bounds[1]
        if isinstance(signals.arrivals, NoData):
            assert decision.desired >= min(signals.replicas, bounds[1])
        assert all(map(math.isfinite, figures(state, decision)))


def figures(state: ScalingState, decision: Decision) -> list[float]:
    """All that must never be NaN or infinite."""
    found = [float(each) for pair in (*state.enough, *state.needed) for each in pair]
    found += [each for one in state.budget.bins for each in (one.requests, one.missed)]
    found += state.history.rates[~np.isnan(state.history.rates)].tolist()
    foresight, foreseen = state.foresight, decision.foreseen
    if foresight is not None:
        found += [*foresight.near.ravel(), *foresight.far.ravel(), *foresight.peaks]
        found += [*foresight.forecast.weights, *foresight.forecast.levels[1:]]
    if foreseen is not None:
        found += [foreseen.rate, foreseen.peak, foreseen.price]
        found += [foreseen.missed, foreseen.missed_with_one_less]
    return found


# A load that was seen half-way up may be known to go on, and one beyond it to be a burst that is
# over soon: more load then needs fewer, which is what a forecast is for.
PATTERNS = ("bursts", "on and off")


@given(NAMES, st.floats(0.01, 50), st.floats(1, 3), st.integers(1, 60))
def test_more_load_never_needs_more_than_one_fewer_where_as_much_is_known_of_it(
    name: str, times: float, factor: float, replicas: int
) -> None:
    state, now = learned(name)
    less, more = (
        decide(state, seen(each, replicas, now), SETTINGS, now)[1]
        for each in (times, times * factor)
    )
    assert less.needed is not None
    assert more.needed is not None
    if name in PATTERNS:
        assume(group(state, less) == group(state, more))
    assert less.needed <= more.needed + 1


def group(state: ScalingState, decision: Decision) -> int:
    """Of the levels whose errors the decision rests on."""
    assert state.foresight is not None
    assert decision.foreseen is not None
    forecast = state.foresight.forecast
    return forecast.group(math.log(decision.foreseen.rate + forecast.floor) + 1e-9)


def without_metrics(rates: Floats, minutes: int, replicas: int) -> list[Decision]:
    """Decisions at each tick of a gap that begins after a history, each carried out."""
    known = history(rates)
    settings = replace(SETTINGS, pod_start_seconds=20)
    state, now, found = ScalingState(history=known, inferences_per_request=1), known.ends, []
    for number in range(6 * minutes):
        state, decision = decide(state, blind(replicas), settings, now + number * TICK)
        replicas = decision.desired
        found.append(decision)
    return found


def test_without_data_replicas_rise_as_the_day_before_says() -> None:
    rates = daily(2 * DAY_STEPS, mean=20 * ONE, swing=0.8)
    before = math.ceil(rates[-1] / ONE)
    decisions = without_metrics(rates, 20, before)
    numbers = [decision.desired for decision in decisions]
    due = daily(2 * DAY_STEPS + 20, mean=20 * ONE, swing=0.8)[-1] / ONE
    assert sorted(numbers) == numbers
    assert due == pytest.approx(numbers[-1], abs=1.5)
    assert numbers[-1] > before
    assert {Reason.NO_DATA} == {decision.reason for decision in decisions}
    rose = [now for last, now in pairwise(decisions) if now.desired > last.desired]
    assert all("as on the day before" in decision.message for decision in rose)


def test_without_data_replicas_do_not_fall_though_the_day_before_did() -> None:
    rates = daily(2 * DAY_STEPS + DAY_STEPS // 2, mean=20 * ONE, swing=0.8)  # it falls from here
    assert {20} == {decision.desired for decision in without_metrics(rates, 20, 20)}


@pytest.mark.parametrize("rows", [0.1, 1.0, 8.0])
def test_without_data_a_request_has_as_many_rows_as_it_had(rows: float) -> None:
    known = history(np.full(2 * DAY_STEPS, 4.5 * ONE / rows))
    state, now = ScalingState(history=known), known.ends
    last = replace(seen(4.5 / rows, 5, now), inferences_per_request=rows)
    state, before = decide(state, last, SETTINGS, now)
    _, after = decide(state, blind(before.desired), SETTINGS, now + TICK)
    assert (before.desired, Reason.NO_DATA) == (after.desired, after.reason)


def test_without_data_and_before_any_the_number_stays() -> None:
    known = history(daily(2 * DAY_STEPS, mean=20 * ONE, swing=0.8))
    _, decision = decide(ScalingState(history=known), blind(2), SETTINGS, known.ends)
    assert (2, None) == (decision.desired, decision.capacity)


@pytest.mark.parametrize(
    ("times", "replicas", "most"),
    [
        pytest.param(0.5, 10, 1000, id="while more are kept than the load needs"),
        pytest.param(19.0, 5, 5, id="where more are needed than are allowed"),
        pytest.param(0.5, 1, 1000, id="with one replica"),
    ],
)
def test_what_is_missed_is_of_the_number_decided(times: float, replicas: int, most: int) -> None:
    state, now = learned("steady")
    settings = replace(SETTINGS, max_replicas=most)
    state, decision = decide(state, seen(times, replicas, now), settings, now)
    assert replicas == decision.desired
    foresight, foreseen = state.foresight, decision.foreseen
    assert foresight is not None
    assert foreseen is not None
    coming = math.log(foreseen.rate + foresight.forecast.floor)
    missed = foresight.missed(coming, np.array([float(replicas)]), replicas, SATURATION)
    assert missed[0] == pytest.approx(foreseen.missed)
    assert foreseen.missed <= foreseen.missed_with_one_less + 1e-6


def test_a_clock_that_was_ahead_does_not_stop_the_learning() -> None:
    state, now = learned("steady")
    state, _ = decide(state, seen(2.5, 3, now), SETTINGS, now)
    for at in (now + 3 * 3600, now + 600, now + 2400):
        state, _ = decide(state, seen(2.5, 3, at), SETTINGS, at)
        assert state.foresight is not None
        assert state.foresight.learned_until <= at


@dataclass
class Run:
    """Decisions on loads at one tick each, each decision carried out."""

    state: ScalingState
    now: float
    replicas: int
    settings: ScalingSettings = SETTINGS

    def tick(self, times: float, mean: float | None = None) -> int:
        steady = min(0.95, (times if mean is None else mean) * ONE / self.replicas / SATURATION)
        requests = times * ONE * TICK
        signals = seen(
            times,
            self.replicas,
            self.now,
            requests=requests,
            missed=requests * late(round(steady, 2)),
        )
        self.state, decision = decide(self.state, signals, self.settings, self.now)
        self.replicas = decision.desired
        self.now += TICK
        return self.replicas


SATURATION = SERVICE.saturation


@cache
def late(load: float) -> float:
    return 1 - attained_share(SERVICE, load * SATURATION, 0.5)


def constant(times: float, settings: ScalingSettings) -> Run:
    """A past of a constant load, as it would be counted."""
    rates = counted(np.full(DAY_STEPS, times * ONE))
    known = history(rates)
    return Run(ScalingState(history=known), known.ends, math.ceil(times), settings)


HOURS = 3
MOST_AN_HOUR, MOST_IN_ALL = 6, 8


@pytest.mark.parametrize("start", [20.0, 60.0], ids="pods start in {:.0f} s".format)
@pytest.mark.parametrize("ticks", [2, 5], ids="rates over {} ticks".format)
@pytest.mark.parametrize("times", [0.03, 1.0, 1.05, 2.05, 4.8], ids="{} replicas".format)
def test_under_a_constant_load_the_number_seldom_changes(
    times: float, ticks: int, start: float
) -> None:
    run = constant(times, replace(SETTINGS, pod_start_seconds=start))
    random = np.random.default_rng(2)
    arrived = random.poisson(times * ONE * TICK, HOURS * 360 + ticks)
    rates = np.convolve(arrived, np.ones(ticks) / ticks, "valid")[: HOURS * 360] / TICK / ONE
    numbers = np.array([run.tick(float(rate), times) for rate in rates])
    changed = np.diff(numbers) != 0
    in_an_hour = np.convolve(changed, np.ones(360), "valid")
    assert in_an_hour.max() <= MOST_AN_HOUR
    assert changed.sum() <= MOST_IN_ALL
    assert abs(numbers - times).max() < 2


@pytest.mark.parametrize("times", [0.5, 1.0, 2.0, 2.97, 7.3])
def test_under_a_constant_load_without_noise_the_number_comes_to_rest(times: float) -> None:
    known = history(np.full(DAY_STEPS, times * ONE))
    run = Run(ScalingState(history=known), known.ends, 10)
    numbers = [run.tick(times) for _ in range(4 * 360)]
    assert np.count_nonzero(np.diff(numbers[360:])) <= 3


def restarted(state: ScalingState) -> ScalingState:
    """What is read back from Prometheus."""
    return ScalingState(history=state.history, budget=state.budget)


LEVELS = st.lists(
    st.tuples(st.floats(0.05, 7), st.integers(1, 30)), min_size=1, max_size=6
)  # times what one replica can do, for so many ticks


@given(NAMES, LEVELS, st.integers(0, 100), st.floats(0.05, 7))
def test_a_restart_decides_the_same_but_lowers_nothing_for_three_starts(
    name: str, levels: list[tuple[float, int]], at: int, then: float
) -> None:
    loads = [times for times, ticks in levels for _ in range(ticks)][: at + 1]
    state, now = learned(name)
    run = Run(state, now, 3)
    for times in loads:
        run.tick(times)
    before = run.replicas
    anew = Run(restarted(run.state), run.now, before)
    assert max(before, run.tick(then)) == anew.tick(then)
    for _ in range(int(3 * SETTINGS.pod_start_seconds / TICK) - 1):
        assert anew.replicas >= before
        anew.tick(0.05)
    assert anew.replicas >= before


@pytest.mark.parametrize("jump", [-7 * 86_400.0, -3600.0, -15.0, 3600.0, 7 * 86_400.0])
def test_a_clock_that_jumps_lowers_nothing_and_leaves_a_past(jump: float) -> None:
    state, now = learned("steady")
    run = Run(state, now, 5)
    for _ in range(17):
        assert 5 == run.tick(1.5)
    run.now += jump
    for _ in range(17):
        assert 5 == run.tick(1.5)
    kept = len(run.state.history.rates)
    assert kept >= 2 * DAY_STEPS - 65 or abs(jump) > 86_400
    assert run.state.history.ends <= run.now


def test_a_spent_budget_holds_more_than_one_that_is_not() -> None:
    state, now = learned("bursts")
    spent, saved = (
        replace(state, budget=Budget((Spending(now - 7200, 1e6, missed),))) for missed in (3e4, 0.0)
    )
    dear, cheap = (
        decide(each, seen(2.0, 2, now), SETTINGS, now)[1].needed or 0 for each in (spent, saved)
    )
    assert dear > cheap


def test_one_learns_anew_each_half_hour() -> None:
    state, now = learned("steady")
    until = set()
    for number in range(4 * 180):
        state, _ = decide(state, seen(2.5, 3, now + number * TICK), SETTINGS, now + number * TICK)
        assert state.foresight is not None
        until.add(state.foresight.learned_until)
    assert {1800.0} == set(np.diff(sorted(until)).tolist())


def test_in_the_first_hours_one_learns_more_often() -> None:
    known = history(counted(np.full(30, ONE)))
    state, until = ScalingState(history=known), set()
    for number in range(180):
        now = known.ends + number * TICK
        state, _ = decide(state, seen(1.0, 1, now), SETTINGS, now)
        assert state.foresight is not None
        until.add(state.foresight.learned_until)
    assert [5 * STEP_SECONDS] * 5 == np.diff(sorted(until)).tolist()[:5]
