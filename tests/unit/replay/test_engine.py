"""Whole replays: when pods come and go, what policies see, what it costs, and that it repeats."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlagent.domain.scaling.history import History
from dlagent.replay.engine import Outcome, replay, requests_at
from dlagent.replay.faults import parse_faults
from dlagent.replay.ours import Ours
from tests.unit.replay.seen import MANIFEST
from tests.unit.replay.worlds import SIMULATED, Planned, poisson, requests, world


def test_pods_cost_from_the_decision_and_serve_from_their_start() -> None:
    """Two from 100 s, ready at 160; one again from 400 s: 600 + 300 pod-seconds."""
    policy = Planned({100.0: 2, 400.0: 1})

    found = replay(world(), requests(), policy)

    assert ((0.0, 1), (100.0, 2), (400.0, 1)) == found.plan
    assert 600 + 300 == pytest.approx(found.pod_seconds)
    assert [True, False] == policy.at(150.0).ready.tolist()
    assert [True, True] == policy.at(160.0).ready.tolist()
    assert 2 == policy.at(110.0).replicas
    assert ("pod-0", "pod-1") == policy.at(110.0).pods


def test_a_pod_gets_no_request_before_it_is_ready() -> None:
    """Forty a second need two pods; the second is there from 160 s on, and the queue is gone."""
    load = poisson(36.0, 600.0, seed=1)
    found = replay(world(), load, Planned({100.0: 3}))
    late = found.requests - found.good
    assert late[14:16].sum() > 0.02 * found.requests[14:16].sum()
    assert late[20:].sum() < 0.001 * found.requests[20:].sum()


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        pytest.param(0, 2, id="never fewer than the least"),
        pytest.param(-5, 2, id="however absurd"),
        pytest.param(3, 3, id="within the bounds"),
        pytest.param(99, 5, id="never more than the most"),
    ],
)
def test_bounds_always(asked: int, given: int) -> None:
    manifest = replace(MANIFEST, min_replicas=2, max_replicas=5)
    policy = Planned({100.0: asked})
    found = replay(replace(world(initial=4), manifest=manifest), requests(), policy)
    assert ((0.0, 4), (100.0, given)) == found.plan
    assert given == policy.at(110.0).replicas


@pytest.mark.parametrize(("initial", "given"), [(0, 2), (9, 5)])
def test_bounds_from_the_beginning(initial: int, given: int) -> None:
    manifest = replace(MANIFEST, min_replicas=2, max_replicas=5)
    found = replay(replace(world(initial=initial), manifest=manifest), requests(), Planned())
    assert ((0.0, given),) == found.plan
    assert given * 600.0 == found.pod_seconds


def test_what_is_never_answered_is_missed_and_costs_no_more() -> None:
    """A million at once are not done ten minutes after the end: 5,000 x 8 x 2 are."""
    load = requests(*np.full(60_000, 100.0))
    found = replay(world(), load, Planned())
    answered = 1 + 8 * math.ceil((1200.0 - 100.06) / SIMULATED.seconds(8))
    assert answered == found.latencies.sum()
    assert 60_000 == found.requests.sum()
    assert 600.0 == found.pod_seconds


def test_the_warm_up_is_played_and_counts_for_nothing() -> None:
    load = replace(requests(), times=np.array([-60.0, -30.5, 5.0]), chances=np.zeros(3))
    policy = Planned({-40.0: 2})

    found = replay(world(), load, policy)

    assert 1 == found.requests.sum() == found.good.sum()
    assert ((-60.0, 1), (-40.0, 2)) == found.plan
    assert 2 * 600.0 == found.pod_seconds
    assert -50.0 == policy.saw[0].now
    assert 590.0 == policy.saw[-1].now


def test_each_pod_is_scraped_in_its_turn_once_an_interval() -> None:
    """As Prometheus spreads its targets; five turns of an interval of 15 s."""
    policy = Planned()
    replay(world(initial=6), requests(), policy)
    samples = policy.samples[60.0]
    last = [samples[f"pod-{number}"].successes[-1][0] for number in range(6)]
    assert [48.0, 51.0, 54.0, 57.0, 60.0, 48.0] == last


@pytest.mark.parametrize(
    ("fault", "answered"),
    [
        pytest.param("none", [273.0, 288.0, 303.0, 318.0], id="scraped"),
        pytest.param("metrics-gap@280s+30s", [273.0, 318.0], id="lost"),
        pytest.param("metrics-nan@280s+30s", [273.0, math.nan, math.nan, 318.0], id="NaN"),
    ],
)
def test_faults_are_of_the_scrapes_in_their_time(fault: str, answered: list[float]) -> None:
    """A request each second, of which the first pod had as many as seconds went by."""
    policy = Planned()
    load = requests(*np.arange(0.5, 600.0))
    replay(replace(world(), faults=parse_faults(fault)), load, policy)
    found = [value for _, value in policy.samples[320.0]["pod-0"].successes]
    assert answered == pytest.approx(found, nan_ok=True)


@pytest.mark.parametrize("routing", ["random", "p2c", "connections:8"])
def test_the_same_seed_gives_the_same_outcome(routing: str) -> None:
    """Twice in one world: nothing is carried from one replay into the next."""
    load = poisson(100.0, 600.0, seed=3)
    one = world(routing=routing, variation=0.5, initial=3, seed=5)

    def outcome(seed: int) -> bytes:
        plan = Planned({100.0: 5, 250.0: 2, 300.0: 6})
        return replay(replace(one, seed=seed), load, plan).latencies.tobytes()

    assert outcome(5) == outcome(5)
    assert outcome(5) != outcome(6)


def test_looking_changes_nothing() -> None:
    """Pods are simulated lazily: when they are looked at must not matter."""
    load = poisson(100.0, 600.0, seed=4)
    plan = {100.0: 5, 250.0: 2, 300.0: 6}
    often, seldom = (
        replay(
            replace(world(initial=3), manifest=replace(MANIFEST, scrape_seconds=interval)),
            load,
            Planned(plan, period_seconds=period),
        )
        for interval, period in ((1.0, 2.0), (60.0, 50.0))
    )
    assert often.latencies.tolist() == seldom.latencies.tolist()
    assert often.good.tolist() == seldom.good.tolist()
    assert often.pod_seconds == pytest.approx(seldom.pod_seconds)


@given(
    plan=st.dictionaries(st.sampled_from([10.0 * n for n in range(1, 60)]), st.integers(0, 30)),
    rate=st.floats(0.0, 200.0),
    start=st.sampled_from([0.0, 7.0, 60.0, 900.0]),
    routing=st.sampled_from(["random", "p2c", "connections:5"]),
)
@settings(deadline=None, max_examples=40)
def test_the_sums_are_right_whatever_is_asked_for(
    plan: dict[float, int], rate: float, start: float, routing: str
) -> None:
    manifest = replace(MANIFEST, min_replicas=1, max_replicas=20)
    one = replace(world(pod_start=start, routing=routing), manifest=manifest)
    load = poisson(rate, 600.0, seed=7)

    found = replay(one, load, Planned(plan))

    assert len(load.times) == found.requests.sum()
    assert ((0 <= found.good) & (found.good <= found.requests)).all()
    assert found.good.sum() <= found.latencies.sum() <= len(load.times)
    assert all(1 <= count <= 20 for _, count in found.plan)
    assert asked_seconds(found) - 1e-6 <= found.pod_seconds


def asked_seconds(found: Outcome) -> float:
    """What was asked for; pods that drain are there for longer."""
    ends = [at for at, _ in found.plan[1:]] + [found.duration_seconds]
    return sum((end - at) * count for (at, count), end in zip(found.plan, ends, strict=True))


def test_the_operators_own_policy_follows_a_load() -> None:
    """One replica can do 32.4 a second: two for 40, from when it has seen it."""
    load = poisson(40.0, 600.0, seed=1, warm_up=300.0)
    found = replay(world(), load, Ours(MANIFEST, History()))
    assert 2 == found.plan[-1][1]
    assert found.good[10:].sum() > 0.99 * found.requests[10:].sum()


def test_requests_come_at_the_rates_that_were_given() -> None:
    rates = np.array([0.0, 10.0, 100.0])
    found = requests_at(rates, 60.0, -60.0, np.random.default_rng(1))

    counts = np.histogram(found.times, bins=[-60.0, 0.0, 60.0, 120.0])[0]

    assert 120.0 == found.duration_seconds
    assert 0 == counts[0]
    assert abs(counts[1] - 600) < 4 * math.sqrt(600)
    assert abs(counts[2] - 6000) < 4 * math.sqrt(6000)
    assert (np.diff(found.times) >= 0).all()
    assert len(found.chances) == len(found.times)
    assert ((found.chances >= 0) & (found.chances < 1)).all()


def test_a_warm_up_without_requests_is_skipped() -> None:
    assert 0.0 == requests().begins
    assert 0.0 == requests(3.5).begins
    assert -8.0 == requests(-7.3, 1.0).begins
