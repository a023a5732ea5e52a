"""Pods that come, serve and go, in cases that can be worked out by hand. A lone request: 60 ms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.replay.fleet import Fleet, Reading
from tests.unit.replay.worlds import SIMULATED, fleet, poisson


def send(some: Fleet, times: list[float], until: float, chance: float = 0.0) -> None:
    """To the first of the ready pods, or the first connection, unless another chance is given."""
    some.send(np.array(times), np.full(len(times), chance), 0, until)


def read(some: Fleet, at: float) -> Reading:
    return some.read([pod.slot for pod in some.pods], at)


def test_a_batch_takes_what_waits_when_it_begins_and_no_more_than_it_may() -> None:
    """One at 0 until 0.06; ten wait then: eight until 0.26, and the others until 0.34."""
    some = fleet(threshold=0.25)
    send(some, [0.0, *[0.01] * 10], 10.0)

    found = [read(some, at).answered[0] for at in (0.0599, 0.0601, 0.2599, 0.2601, 0.3399, 0.3401)]

    assert [0, 1, 1, 9, 9, 11] == found
    assert 9 == some.books.good[0]  # 0.06; 0.25, at the threshold; and two with 0.33


def test_nobody_joins_a_batch_that_runs() -> None:
    some = fleet()
    send(some, [0.0, 0.0], 10.0)

    assert 1 == read(some, 0.07).answered[0]
    assert 2 == read(some, 0.1201).answered[0]


def test_instances_work_side_by_side_on_one_queue() -> None:
    some = fleet(service=ServiceTime(0.04, 0.02, 8, instances=2))
    send(some, [0.0, 0.01, 0.02, 0.03], 0.05)

    found = read(some, 0.05)
    assert (2, 2) == (found.running[0], found.pending[0])
    found = read(some, 0.0601)  # the first is free, and takes both
    assert (1, 3, 0) == (found.answered[0], found.running[0], found.pending[0])
    assert 4 == read(some, 0.1401).answered[0]


def test_counters_are_those_of_triton() -> None:
    """Answered at completion, pending without what runs, busy as far as it has run."""
    some = fleet()
    send(some, [1.0, 1.01, 1.02], 1.03)

    found = read(some, 1.03)

    assert (0, 1, 2) == (found.answered[0], found.running[0], found.pending[0])
    assert 0.03 == pytest.approx(found.busy[0])
    found = read(some, 2.0)
    assert (3, 0, 0) == (found.answered[0], found.running[0], found.pending[0])
    assert 0.06 + 0.08 == pytest.approx(found.busy[0])
    assert 3 == found.latencies[0].sum()


def test_a_pod_gets_nothing_before_it_is_ready() -> None:
    some = fleet()
    some.create(0.0, ready_at=30.0)
    some.refresh(29.9)
    send(some, [29.95], 29.96, chance=0.99)
    assert [1, 0] == read(some, 30.0).running.tolist()

    some.refresh(30.0)
    send(some, [31.0], 31.01, chance=0.99)
    assert [0, 1] == read(some, 31.02).running.tolist()


def test_a_request_that_finds_no_pod_is_missed() -> None:
    some = fleet(pods=0)
    some.create(0.0, ready_at=5.0)
    send(some, [1.0, 2.0], 5.0)
    some.refresh(5.0)
    send(some, [6.0], 7.0)
    some.finish(600.0, math.inf)

    assert (3, 1) == (some.books.requests.sum(), some.books.good.sum())
    assert 2 == some.books.unrouted[0]


@pytest.mark.parametrize("routing", ["random", "p2c", "connections:8"])
def test_without_pods_nothing_is_routed(routing: str) -> None:
    some = fleet(pods=0, routing=routing)
    send(some, [1.0], 2.0)
    assert (1, 1) == (some.books.requests[0], some.books.unrouted[0])


def test_those_that_are_not_ready_go_first_and_then_the_youngest() -> None:
    some = fleet(pods=2)
    some.create(10.0, ready_at=20.0)
    some.create(30.0, ready_at=90.0)
    some.refresh(50.0)

    gone = [pod.name for _ in range(3) for pod in some.remove(1, 50.0)]

    assert ["pod-3", "pod-2", "pod-0"] == gone
    assert ["pod-1"] == [pod.name for pod in some.pods]


def test_a_pod_that_is_removed_answers_what_it_has_and_costs_until_then() -> None:
    """Seventeen: one until 100.06, eight until 100.26, eight until 100.46. Its costs are exact."""
    some = fleet(threshold=0.46)
    send(some, [100.0] + [100.01] * 16, 100.02)

    some.remove(1, 100.02)

    assert 100.46 == pytest.approx(some.pod_seconds, rel=1e-12)
    assert 17 == some.books.good.sum()


def test_costs_are_from_creation_to_the_end_within_the_replay() -> None:
    some = fleet(pods=1, begins=-100.0, seconds=600.0)  # the warm-up is free: 600
    some.create(50.0, ready_at=110.0)  # 550
    going = some.create(200.0, ready_at=260.0)  # removed before it was ready: 20
    some.remove(1, 220.0)
    assert going not in some.pods
    some.create(590.0, ready_at=650.0)  # 10
    some.finish(600.0, math.inf)

    assert 600 + 550 + 20 + 10 == pytest.approx(some.pod_seconds)


def test_what_drains_beyond_the_end_costs_to_the_end_only() -> None:
    some = fleet(seconds=100.0)
    send(some, [99.98], 100.0)
    some.remove(1, 99.99)
    assert 100.0 == some.pod_seconds


def test_a_pod_that_went_in_the_warm_up_costs_nothing() -> None:
    some = fleet(begins=-100.0)
    some.remove(1, -50.0)
    assert 0.0 == some.pod_seconds


def test_a_new_pod_gets_no_connection_and_one_that_goes_loses_its_own() -> None:
    some = fleet(pods=2, routing="connections:40")
    send_on_each_connection(some, 1.0)
    shares = (read(some, 1.02).running + read(some, 1.02).pending).tolist()
    assert 40 == sum(shares)
    assert min(shares) > 5

    some.remove(1, 10.0)
    some.create(10.0, ready_at=20.0)
    some.refresh(20.0)
    send_on_each_connection(some, 21.0)
    assert [40, 0] == (read(some, 21.02).running + read(some, 21.02).pending).tolist()


def send_on_each_connection(some: Fleet, at: float) -> None:
    for connection in range(40):
        send(some, [at], at + 0.01, chance=(connection + 0.5) / 40)


def test_a_pod_in_the_place_of_another_has_nothing_of_it() -> None:
    some = fleet()
    send(some, [1.0] * 20, 1.01)
    (gone,) = some.remove(1, 1.02)
    new = some.create(2.0, ready_at=2.0)
    some.refresh(2.0)

    found = read(some, 3.0)

    assert new.slot == gone.slot
    assert new.name != gone.name
    figures = (found.answered, found.pending, found.running, found.busy, found.latencies)
    assert not any(figure.any() for figure in figures)


def test_a_long_queue_loses_nothing_and_keeps_its_order() -> None:
    """10,000 at once, more than there are places for at first: eight end each 0.2 s after 0.06."""
    some = fleet(threshold=0.06 + 1249 * 0.2)
    send(some, [0.5] * 10_000, 0.6)
    found = read(some, 0.55)
    assert (1, 9999) == (found.running[0], found.pending[0])

    some.finish(600.0, math.inf)

    assert 10_000 == some.books.latencies.sum()
    assert 1 + 1249 * 8 == some.books.good.sum()


def test_places_become_more_in_the_midst_of_work_and_queues_stay_apart() -> None:
    """Two pods by turns, partly drained, then more than all places: each is still in order."""
    times = [0.0] * 3000 + [30.0] * 6000
    chances = np.tile([0.0, 0.9], len(times) // 2)
    some, other = fleet(pods=2, threshold=100.0), fleet(pods=2, threshold=100.0)
    some.send(np.array(times), chances, 0, 40.0)
    for first in range(0, len(times), 50):
        other.send(np.array(times[first : first + 50]), chances[:50], 0, 40.0)

    for each in (some, other):
        each.finish(600.0, math.inf)

    assert len(times) == some.books.latencies.sum()
    assert some.books.latencies.tolist() == other.books.latencies.tolist()
    assert some.books.good.tolist() == other.books.good.tolist()


def test_a_hopeless_queue_takes_memory_by_what_waits_and_not_by_pods() -> None:
    some = fleet(pods=64, routing="connections:1")
    send(some, [0.5] * 100_000, 0.6)
    assert 1 == sum(read(some, 0.55).pending > 0)
    assert 2**17 == len(some._arrays.queue.times)


def test_pods_beyond_the_first_places_serve_as_the_others() -> None:
    some = fleet(pods=10)
    send(some, [1.0], 1.01)
    for _ in range(50):
        some.create(1.01, ready_at=1.01)
    some.refresh(1.01)
    times = np.full(60, 1.02)
    some.send(times, (np.arange(60) + 0.5) / 60, 0, 1.03)

    found = read(some, 1.03)

    assert len({pod.slot for pod in some.pods}) == 60
    assert [1] * 60 == found.running.tolist()
    assert [1] + [0] * 59 == found.pending.tolist()


def test_a_service_with_a_delay_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no batch delay.*0\.1 s: give a service without one"):
        fleet(service=ServiceTime(0.04, 0.02, 8, delay_seconds=0.1))


changes = st.lists(st.tuples(st.floats(0.0, 30.0), st.integers(0, 24)), max_size=12)
services = st.builds(
    ServiceTime,
    st.floats(0.0, 0.2),
    st.floats(0.001, 0.2),
    st.integers(1, 9),
    instances=st.integers(1, 3),
)


@given(
    service=services,
    variation=st.sampled_from([0.0, 0.5]),
    routing=st.sampled_from(["random", "p2c", "connections:3"]),
    rate=st.floats(0.0, 60.0),
    changes=changes,
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_no_request_is_lost_or_made(
    service: ServiceTime,
    variation: float,
    routing: str,
    rate: float,
    changes: list[tuple[float, int]],
    seed: int,
) -> None:
    """Whatever comes and goes: those sent are answered, waiting, running or found no pod."""
    load = poisson(rate, 60.0, seed)
    some = fleet(service=service, variation=variation, routing=routing, seconds=60.0)
    number, now, drained = 0, 0.0, 0
    for pause, pods in changes:
        now = min(60.0, now + pause)
        number = some.send(load.times, load.chances, number, now)
        for _ in range(pods - len(some.pods)):
            some.create(now, now + 5.0)
        before = read(some, now)
        gone = some.remove(max(0, len(some.pods) - pods), now)
        after = read(some, now)
        drained += _all(before) - _all(after)
        some.refresh(now)
        assert len(some.pods) == pods
        assert all(pod not in some.pods for pod in gone)
        assert number == drained + _all(after) + some.books.unrouted[0]
        assert some.books.good.sum() <= some.books.latencies.sum() <= number
    some.send(load.times, load.chances, number, math.inf)
    some.finish(60.0, math.inf)

    sent = some.books.requests.sum()
    assert len(load.times) == sent == some.books.latencies.sum() + some.books.unrouted[0]
    assert (some.books.good <= some.books.requests).all()
    assert 0 <= some.pod_seconds


def _all(found: Reading) -> int:
    return int((found.answered + found.pending + found.running).sum())


def test_the_books_are_by_when_a_request_arrived() -> None:
    """Windows of ten seconds; one in the warm-up is in none."""
    some = fleet(begins=-10.0, seconds=25.0)
    send(some, [-5.0, 0.0, 9.99, 10.0, 24.0], 25.0)
    some.finish(25.0, math.inf)

    assert [2, 1, 1] == some.books.requests.tolist()
    assert [2, 1, 1] == some.books.good.tolist()
    assert 4 == some.books.latencies.sum()
    assert SIMULATED.lone_seconds == pytest.approx(0.06)
