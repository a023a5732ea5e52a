"""Hindsight: the plan, what must be asked for when, the cheapest of a table, and nothing below."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlagent.replay.cheapest import Rules, cheapest_plan, cheapest_with
from dlagent.replay.compare import make_ours
from dlagent.replay.engine import Outcome, Requests, World, replay, requests_at
from dlagent.replay.misses import miss_table, stretches
from dlagent.replay.oracle import follow, hindsight
from dlagent.replay.planned import Change, Planned, changes, pod_ticks
from dlagent.replay.policies import parse_policies
from dlagent.replay.routing import parse_routing
from dlagent.replay.rows import attained
from tests.unit.replay.seen import MANIFEST

LEVELS = st.lists(st.integers(1, 4), min_size=1, max_size=12)


def world(routing: str = "random", initial: int = 1, **manifest: float) -> World:
    told = replace(MANIFEST, **{"max_replicas": 12, **manifest})  # type: ignore[arg-type]  # floats
    return World(
        told, told.service, told.pod_start_seconds, parse_routing(routing), initial=initial
    )


def traffic(kind: str, seed: int, warm_up_minutes: int = 10) -> Requests:
    """Half an hour after the warm-up."""
    minutes = np.arange(30 + warm_up_minutes)
    rates = {
        "steady": np.full(len(minutes), 50.0),
        "ramp": 20 + 2.0 * minutes,
        "steps": np.where(minutes // 15 % 2, 90.0, 25.0),
        "bursts": np.where(minutes % 11 == 10, 120.0, 20.0),
    }[kind]
    return requests_at(rates, 60, -60.0 * warm_up_minutes, np.random.default_rng(seed))


def at(plan: list[Change], seconds: float) -> int:
    """What is asked for at a time."""
    return [number for when, number in plan if when <= seconds][-1]


@pytest.mark.parametrize(
    ("ready", "expected"),
    [
        pytest.param([2, 2], [(-100, 2)], id="all the time the same"),
        pytest.param([1, 1, 1, 2], [(-100, 1), (5, 2)], id="up: a start of 25 s earlier"),
        pytest.param([3, 1, 1], [(-100, 3), (10, 1)], id="down: at its time"),
        pytest.param([1, 2], [(-100, 1), (-15, 2)], id="before 0"),
        pytest.param([2, 1, 1, 2], [(-100, 2)], id="a valley shorter than a start is filled"),
        pytest.param(
            [2, 1, 1, 1, 2], [(-100, 2), (10, 1), (15, 2)], id="a longer one is left and re-entered"
        ),
    ],
)
def test_changes(ready: list[int], expected: list[Change]) -> None:
    assert expected == changes(np.array(ready), 25, -100)


@settings(deadline=None)
@given(LEVELS, st.sampled_from([10.0, 25.0, 40.0]))
def test_what_is_asked_for_makes_as_many_ready(levels: list[int], start: float) -> None:
    plan = changes(np.array(levels), start, -1000)
    moments = np.arange(0, 10 * len(levels), 5.0)
    for moment in moments:
        within = [at(plan, moment), *(n for when, n in plan if moment - start < when <= moment)]
        ready = min(*within, at(plan, moment - start))
        assert levels[int(moment // 10)] <= ready
    asked = sum(at(plan, moment) for moment in moments) / 2
    assert asked <= pod_ticks(np.array(levels), start / 10) + 1e-9


def test_the_engine_follows_a_plan_to_the_second() -> None:
    ready = np.array([1] * 20 + [3] * 20 + [2] * 20)
    requests = traffic("steady", 1)
    requests = Requests(requests.times, requests.chances, 600)
    found = follow(world(), requests, ready)
    assert (140.0, 3) in found.plan
    assert (400.0, 2) in found.plan
    assert pytest.approx(10 * pod_ticks(ready, 6), rel=0.002) == found.pod_seconds


def test_a_plan_asks_at_its_times_alone() -> None:
    requests = traffic("steady", 1)
    plan = ((-600.0, 1), (-33.0, 4), (12.5, 2), (1500.0, 3))
    policy = Planned(plan[1:], requests.begins)
    assert plan == replay(world(), requests, policy).plan


@settings(deadline=None)
@given(
    st.lists(st.lists(st.floats(0, 50), min_size=3, max_size=3), min_size=1, max_size=5),
    st.floats(0.01, 1),
    st.integers(1, 3),
    st.sampled_from([0, 2]),
)
def test_dynamic_programming_finds_what_trying_all_plans_finds(
    table: list[list[float]], weight: float, first: int, limited: int
) -> None:
    misses, rules = np.array(table), Rules(2.0, 1, first, limited)

    def cost(plan: tuple[int, ...]) -> float:
        if any(number > first for number in plan[:limited]):
            return np.inf
        missed = sum(misses[tick, number - 1] for tick, number in enumerate(plan))
        return float(pod_ticks(np.array(plan), 2.0) + weight * missed)

    best = min(cost(plan) for plan in itertools.product((1, 2, 3), repeat=len(table)))
    plan, found = cheapest_plan(misses, weight, rules)
    assert pytest.approx(best) == found == pytest.approx(cost(tuple(plan.tolist())))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_plan_within_its_allowance_is_near_its_bound(seed: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    load = generator.gamma(4, 10, 400)
    misses = np.maximum(0, load[:, None] - 20.0 * np.arange(1, 7)[None, :])
    allowed = share * 0.2 * misses[:, 0].sum()
    rules = Rules(3.0, 1, 9, 0)
    found = cheapest_with(misses, allowed, rules)
    fewest = cheapest_plan(misses, 1e6, rules)[0]
    assert found.missed <= max(allowed, misses[np.arange(400), fewest - 1].sum()) + 1e-9
    if found.missed <= allowed:
        assert found.bound <= pod_ticks(found.ready, 3.0) <= 1.03 * found.bound


def test_the_table_has_what_a_stretch_misses() -> None:
    requests = traffic("steps", 1)
    of = stretches(world(), requests)
    table = miss_table(of, before=1)
    assert 180 == of.ticks == len(table)
    assert (table <= of.counts[:, None]).all()
    kept = replay(world(initial=3), requests, Planned(((-600.0, 3),), requests.begins))
    missed = kept.requests - kept.good
    assert pytest.approx(table[:, 2].sum(), abs=0.004 * kept.requests.sum()) == missed.sum()


def test_many_requests_are_judged_by_their_load(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = traffic("ramp", 1)
    of = stretches(world(), requests)
    simulated = miss_table(of, before=1)
    monkeypatch.setattr("dlagent.replay.misses.MOST_WORK", 5e4)
    by_load = miss_table(of, before=1)
    for pods in range(1, 4):
        expected = simulated[:, pods - 1].sum() / of.counts.sum()
        assert pytest.approx(expected, abs=0.02) == by_load[:, pods - 1].sum() / of.counts.sum()


@pytest.mark.parametrize(
    ("rates", "bounds", "missed"),
    [
        pytest.param([200], (1, 2), [True], id="--max is too low for any tick"),
        pytest.param([50], (500, 900), [False], id="--min is more than all ticks need"),
        pytest.param([5, 400], (5, 5), [False, True], id="each tick is one or the other"),
    ],
)
def test_loads_that_no_tick_comes_near(
    monkeypatch: pytest.MonkeyPatch, rates: list[float], bounds: tuple[int, int], missed: list[bool]
) -> None:
    monkeypatch.setattr("dlagent.replay.misses.MOST_WORK", 1)
    each = np.array(rates, np.float64)
    requests = requests_at(each, 600, 0, np.random.default_rng(1))
    of = stretches(world(min_replicas=bounds[0], max_replicas=bounds[1]), requests)
    expected = of.counts * np.repeat(missed, 60)
    for column in miss_table(of, before=1).T:
        assert expected.tolist() == column.tolist()


POLICIES = "hpa-rps:target=0.7,hpa-rps:target=1,stabilization=60,fixed:n=3,fixed:n=5,ray:target=4"


@pytest.mark.parametrize("objective", [0.95, 0.99])
@pytest.mark.parametrize(
    ("kind", "routing"),
    [("steady", "connections:40"), ("ramp", "p2c"), ("steps", "random"), ("bursts", "random")],
)
def test_nothing_that_keeps_the_objective_is_cheaper(
    kind: str, routing: str, objective: float
) -> None:
    requests, here = traffic(kind, 1), world(routing, 4, objective=objective)

    def fresh() -> World:
        return replace(here, routing=parse_routing(routing))

    choices = parse_policies(POLICIES, here.manifest)
    others: dict[str, Outcome] = {
        choice.name: replay(fresh(), requests, choice.make(here.manifest)) for choice in choices
    }
    others["ours"] = replay(fresh(), requests, make_ours(here.manifest, np.zeros(0), requests))
    found = hindsight(fresh(), requests, list(others.items()))
    assert found.attains
    assert attained(found.outcome) >= objective
    for outcome in others.values():
        assert attained(outcome) < objective or outcome.pod_seconds >= found.outcome.pod_seconds
    alone = hindsight(fresh(), requests, [])
    assert attained(alone.outcome) >= objective, "it needs nobody else's plan to keep the objective"
    assert found.outcome.pod_seconds >= 0.97 * found.bound_seconds


def test_it_spends_its_budget_where_the_load_changes_slowly() -> None:
    found = hindsight(world(objective=0.99), traffic("ramp", 2), [])
    assert 0.99 <= attained(found.outcome) < 0.992


@pytest.mark.parametrize("kind", ["steady", "ramp", "steps", "bursts"])
def test_it_is_near_its_bound(kind: str) -> None:
    found = hindsight(world(objective=0.99), traffic(kind, 2), [])
    assert attained(found.outcome) >= 0.99
    assert found.gap < 0.02
    assert "planned" == found.found_by


def test_the_plan_of_another_is_taken_where_it_is_cheaper() -> None:
    requests = traffic("steady", 1)
    kept = replay(world(initial=9), requests, Planned(((0.0, 9),), requests.begins))
    free = replace(kept, pod_seconds=1)
    found = hindsight(world(), requests, [("magic", free)])
    assert (1, "magic") == (found.outcome.pod_seconds, found.found_by)


def test_where_no_number_keeps_the_objective_it_attains_most() -> None:
    here = world(objective=0.99)
    few = replace(here, manifest=replace(here.manifest, max_replicas=1))
    found = hindsight(few, traffic("steady", 1), [])
    assert not found.attains
    assert {1} == {number for _, number in found.outcome.plan}


def test_without_a_warm_up_it_begins_with_what_all_have() -> None:
    requests = traffic("steady", 1, warm_up_minutes=0)
    found = hindsight(world(initial=1), requests, [])
    assert (0.0, 1) == found.outcome.plan[0]
    ready = min(at for at, number in found.outcome.plan if number > 1) + 60
    assert ready >= 60
