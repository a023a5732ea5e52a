"""What too few replicas would miss, beside a queue that is worked out second by second."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.scaling.capacity import attained_share
from dlagent.domain.scaling.forecast import fit
from dlagent.domain.scaling.foresight import Foresight, Outlook, foresee, late_shares
from dlagent.domain.scaling.history import DAY_STEPS, History
from dlagent.domain.scaling.service_time import ServiceTime
from tests.unit.domain.scaling.loads import Floats, counted, daily, history

SERVICE = ServiceTime(0.040, 0.020, 8)
THRESHOLD = 0.5
OUTLOOK = Outlook(SERVICE, THRESHOLD, lead_seconds=70, hold_seconds=180)
WHOLE_MINUTES = replace(OUTLOOK, lead_seconds=60, hold_seconds=120)
SATURATION = SERVICE.saturation

STEADY = history(np.full(2 * DAY_STEPS, 20.0))
NOISY = history(counted(np.full(35, 2.0)))  # so few that there is one group of levels
DAILY = history(counted(daily(3 * DAY_STEPS, mean=5.0, swing=0.95)))


def foreseen(known: History, outlook: Outlook = OUTLOOK) -> Foresight:
    return foresee(known, outlook, known.ends)


FORESIGHT = {"steady": foreseen(STEADY), "noisy": foreseen(NOISY), "daily": foreseen(DAILY)}


def missed(foresight: Foresight, load: float, replicas: float, present: float) -> float:
    """At so many times what one replica can do at most."""
    numbers = np.array([replicas], float)
    found = foresight.missed(math.log(load * SATURATION), numbers, present, SATURATION)
    return float(found[0])


@pytest.mark.parametrize(
    ("lead", "hold", "steps"),
    [
        pytest.param(30, 120, 3, id="a part of a minute counts as one"),
        pytest.param(60, 120, 3, id="whole minutes"),
        pytest.param(610, 1800, 41, id="pods that start slowly"),
    ],
)
def test_how_far_one_looks(lead: float, hold: float, steps: int) -> None:
    assert steps == replace(OUTLOOK, lead_seconds=lead, hold_seconds=hold).steps


def test_the_more_load_the_more_is_late() -> None:
    late = late_shares(SERVICE, THRESHOLD)
    assert late[0] == 0
    assert late[-1] < 1
    assert (np.diff(late) >= -1e-6).all()


@pytest.mark.parametrize("load", [0.7, 0.8, 0.88, 0.92])
def test_a_steady_load_misses_what_its_queue_does(load: float) -> None:
    share = steadily_late(load)
    arrive = load * SATURATION * 60 * OUTLOOK.steps
    found = missed(FORESIGHT["steady"], load, 1, 1)
    assert share * arrive == pytest.approx(found, rel=0.15, abs=1e-6 * arrive)


def test_what_no_replica_can_do_in_time_is_missed() -> None:
    hopeless = foreseen(STEADY, replace(OUTLOOK, threshold_seconds=0.059))
    found = missed(hopeless, 0.5, 1, 1)
    assert 0.5 * SATURATION * 60 * OUTLOOK.steps == pytest.approx(found, rel=1e-3)


@pytest.mark.parametrize("load", [8.0, 80.0, 8e6])
def test_far_beyond_saturation_nearly_all_is_missed(load: float) -> None:
    arrive = load * SATURATION * 60 * OUTLOOK.steps
    assert 0.9 * arrive < missed(FORESIGHT["steady"], load, 1, 1) <= 1.001 * arrive


@cache
def steadily_late(load: float) -> float:
    return 1 - attained_share(SERVICE, load * SATURATION, THRESHOLD)


def by_the_second(paths: Floats, replicas: int, outlook: Outlook) -> float:
    """The mean over paths of rates by minute [path, minute]: a plain fluid queue.

    What arrives while the work that waits takes longer than the threshold leaves for it is late.
    """
    slack = outlook.threshold_seconds - outlook.service.seconds(outlook.service.max_batch)
    total = 0.0
    for path in paths:
        waiting = 0.0  # requests at each replica
        for rate in path / replicas:
            late = steadily_late(round(min(rate / SATURATION, 0.95), 3))
            for _ in range(60):
                waits = waiting / SATURATION > slack
                total += replicas * rate * (1.0 if waits else late)
                waiting = max(0.0, waiting + rate - SATURATION)
    return total / len(paths)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("load", [0.6, 0.9, 1.05, 1.5, 3.0])
def test_it_is_as_a_queue_second_by_second(load: float, seed: int) -> None:
    rates = counted(np.full(400, 2.0), seed)
    rates[::17] *= 3
    known, rate = history(rates), load * 3 * SATURATION
    forecast, residuals = fit(known, WHOLE_MINUTES.steps)
    found = missed(foreseen(known, WHOLE_MINUTES), 3 * load, 3, 3)
    expected = by_the_second(
        rate * np.exp(residuals[forecast.group(math.log(rate))]), 3, WHOLE_MINUTES
    )
    assert expected == pytest.approx(found, rel=0.1)


@given(
    st.sampled_from(sorted(FORESIGHT)),
    st.floats(1e-3, 1e4),
    st.integers(1, 500),
    st.floats(0.1, 100),
)
def test_more_replicas_never_miss_more(
    name: str, rate: float, present: int, saturation: float
) -> None:
    found = FORESIGHT[name].missed(
        math.log(rate), np.arange(1.0, 600.0), float(present), saturation
    )
    assert (found >= 0).all()
    assert (np.diff(found) <= 1e-6 * found[:-1] + 1e-9).all()


@given(st.floats(0.01, 20), st.integers(1, 8), st.integers(1, 8), st.integers(2, 1000))
def test_times_the_load_and_the_replicas_is_times_the_misses(
    load: float, replicas: int, present: int, times: int
) -> None:
    one = missed(FORESIGHT["noisy"], load, replicas, present)
    many = missed(FORESIGHT["noisy"], times * load, times * replicas, times * present)
    assert times * one == pytest.approx(many, rel=1e-6, abs=1e-9)


def test_until_pods_have_started_only_those_that_are_there_help() -> None:
    few, enough = missed(FORESIGHT["steady"], 3, 100, 1), missed(FORESIGHT["steady"], 3, 100, 4)
    assert few > 0.5 * 3 * SATURATION * OUTLOOK.lead_seconds
    assert enough < 0.05 * few


def test_the_busiest_minute_of_a_steady_load_is_no_busier() -> None:
    assert FORESIGHT["steady"].peaks == pytest.approx(1, rel=1e-3)


def test_the_busiest_minute_is_as_busy_as_bursts_are() -> None:
    rates = np.full(2 * DAY_STEPS, 5.0)
    rates[::61] = 20.0
    assert 4.0 == pytest.approx(float(foreseen(history(rates)).peaks.max()), rel=0.25)


def test_what_comes_after_the_moment_is_not_learned_from() -> None:
    rates = counted(np.full(400, 2.0))
    changed = rates.copy()
    changed[300:] *= 50
    one, other = (foresee(history(each), OUTLOOK, 300 * 60.0) for each in (rates, changed))
    assert one.near.tolist() == other.near.tolist()
    assert one.forecast.weights.tolist() == other.forecast.weights.tolist()


@pytest.mark.parametrize(
    "rates",
    [
        pytest.param(np.zeros(3000), id="no load"),
        pytest.param(np.full(3000, 1e9), id="a thousand million requests a second"),
        pytest.param(np.where(np.arange(3000) % 2, 0.0, 1e9), id="none and all by turns"),
        pytest.param(np.full(3000, math.nan), id="never measured"),
        pytest.param(np.zeros(0), id="no minutes"),
    ],
)
def test_whatever_was_seen_the_curves_are_finite(rates: Floats) -> None:
    found = foreseen(history(rates))
    assert np.isfinite([*found.near.ravel(), *found.far.ravel(), *found.peaks]).all()


def test_batches_are_as_large_as_the_arithmetic_is_quick_for() -> None:
    large, largest = ServiceTime(0.04, 0.001, 128), ServiceTime(0.04, 0.001, 16_384)
    assert late_shares(large, 0.5).tolist() == late_shares(largest, 0.5).tolist()
