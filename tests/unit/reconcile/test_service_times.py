"""Which pod is looked at and when, and that what it tells changes the decision."""

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from dlagent.domain.rollout.seen import Pod
from dlagent.domain.scaling.batch_counts import BatchCounts, Worked
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.domain.scaling.values import NoData
from dlagent.reconcile.ports import Key
from dlagent.reconcile.service_times import ServiceTimes
from tests.unit.reconcile.fake import FakeCluster
from tests.unit.reconcile.load import FakeMetrics
from tests.unit.reconcile.operator_process import Operator
from tests.unit.reconcile.world import World, measured

PRIOR = ServiceTime(0.04, 0.02, max_batch=8)
SHOES = Key("vision", "shoes")


class FakeStatistics:
    """Every pod makes a hundred batches of 1 and of 8 a look, which take `factor` times PRIOR."""

    def __init__(self, prior: ServiceTime = PRIOR) -> None:
        self.prior = prior
        self.factor = 2.0
        self.asked: list[tuple[float, str]] = []
        self.silent: set[str] = set()
        self.hang = False
        self._looks: Counter[str] = Counter()

    async def batch_counts(self, pod: str, pod_ip: str, at: float) -> BatchCounts | NoData:
        self.asked.append((at, pod))
        if self.hang:
            await asyncio.sleep(3600)
        if pod in self.silent:
            return NoData("connection refused")
        self._looks[pod] += 100
        count = self._looks[pod]
        sizes = {
            size: Worked(count, count * self.factor * self.prior.seconds(size)) for size in (1, 8)
        }
        return BatchCounts(pod, at, {"shoes": sizes})


def pod(name: str, ready: bool = True, deleting: bool = False, revision: str = "r1") -> Pod:
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return Pod(
        name, ip="10.0.0.1", ready=ready, deleting=deleting, created=created, revision=revision
    )


async def minutes(
    times: ServiceTimes, pods: list[Pod], count: int, start: float = 0.0
) -> ServiceTime:
    """Ticks of ten seconds."""
    now = start
    for _ in range(6 * count):
        times.service(SHOES, "r1", PRIOR, pods, now)
        await times.look(now)
        now += 10
    return times.service(SHOES, "r1", PRIOR, pods, now)


async def test_a_pod_is_looked_at_at_once_and_then_once_a_minute() -> None:
    statistics = FakeStatistics()
    found = await minutes(ServiceTimes(statistics), [pod("a")], 10)
    moments = [at for at, _ in statistics.asked]
    assert 0.0 == moments[0]
    assert {60.0} == {after - before for before, after in pairwise(moments[1:])}
    assert found.seconds(4) == pytest.approx(2 * PRIOR.seconds(4), rel=0.04)


async def test_agents_are_spread_over_the_minute() -> None:
    statistics = FakeStatistics()
    times = ServiceTimes(statistics)
    for now in range(0, 120, 10):
        for number in range(600):
            key = Key("vision", f"agent-{number}")
            times.service(key, "r1", PRIOR, [pod(key.name)], now)
        await times.look(now)
    per_tick = Counter(at for at, _ in statistics.asked if at >= 60)
    assert 600 == sum(per_tick.values())
    assert max(per_tick.values()) < 140


async def test_two_looks_at_each_pod_by_turns() -> None:
    statistics = FakeStatistics()
    await minutes(ServiceTimes(statistics), [pod("b"), pod("a")], 9)
    assert "aabbaabb" == "".join(name for _, name in statistics.asked)[:8]


@pytest.mark.parametrize(
    "other",
    [pod("a", ready=False), pod("a", deleting=True), pod("a", revision="r0")],
    ids=["it is not ready", "it is being removed", "it is of another revision"],
)
async def test_a_pod_is_left_out(other: Pod) -> None:
    statistics = FakeStatistics()
    await minutes(ServiceTimes(statistics), [other, pod("b")], 5)
    assert {"b"} == {name for _, name in statistics.asked}


async def test_without_a_pod_nobody_is_asked() -> None:
    statistics = FakeStatistics()
    assert PRIOR == await minutes(ServiceTimes(statistics), [], 3)
    assert [] == statistics.asked


async def test_a_silent_pod_is_passed_over_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    statistics = FakeStatistics()
    statistics.silent = {"a"}
    with caplog.at_level(logging.WARNING):
        found = await minutes(ServiceTimes(statistics), [pod("a"), pod("b")], 9)
    assert "abbabbab" == "".join(name for _, name in statistics.asked)[:8]
    assert found.seconds(4) == pytest.approx(2 * PRIOR.seconds(4), rel=0.04)
    (said,) = caplog.messages
    assert "vision/shoes: connection refused" in said


async def test_another_revision_begins_from_its_own_prior() -> None:
    times = ServiceTimes(FakeStatistics())
    await minutes(times, [pod("a")], 5)
    assert PRIOR == times.service(SHOES, "r2", PRIOR, [], 400.0)


async def test_another_prior_begins_anew() -> None:
    times = ServiceTimes(FakeStatistics())
    await minutes(times, [pod("a")], 5)
    other = replace(PRIOR, max_batch=4)
    assert other == times.service(SHOES, "r1", other, [], 400.0)


async def test_an_agent_that_is_gone_is_forgotten() -> None:
    times = ServiceTimes(FakeStatistics())
    await minutes(times, [pod("a")], 5)
    times.keep([])
    assert PRIOR == times.service(SHOES, "r1", PRIOR, [], 400.0)


async def test_a_clock_that_jumps_back_leaves_nobody_waiting() -> None:
    statistics = FakeStatistics()
    times = ServiceTimes(statistics)
    await minutes(times, [pod("a")], 2, start=1e6)
    asked = len(statistics.asked)
    await minutes(times, [pod("a")], 2, start=0.0)
    assert len(statistics.asked) >= asked + 2


async def test_pods_that_hang_do_not_hold_up_the_tick(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dlagent.reconcile.service_times._ROUND_SECONDS", 0.01)
    statistics = FakeStatistics()
    statistics.hang = True
    times = ServiceTimes(statistics)
    times.service(SHOES, "r1", PRIOR, [pod("a")], 0.0)
    await times.look(0.0)
    assert "not all of 1 pods answered" in caplog.text
    statistics.hang = False
    times.service(SHOES, "r1", PRIOR, [pod("a")], 10.0)
    await times.look(10.0)
    assert [(0.0, "a"), (10.0, "a")] == statistics.asked


async def test_no_pod_of_a_paused_agent_is_looked_at() -> None:
    """Its pods may be gone by then, and others have their addresses."""
    cluster = FakeCluster()
    metrics = FakeMetrics(cluster)
    statistics = FakeStatistics()
    world = World(cluster, metrics, Operator(cluster, metrics=metrics, statistics=statistics))
    await measured(world)
    await world.ticks(8)
    assert statistics.asked
    world.cluster.edit(paused=True)
    await world.operator.settle()
    await world.ticks(1)
    statistics.asked.clear()
    await world.ticks(12)
    assert [] == statistics.asked


async def test_replicas_that_are_slower_than_their_build_was_become_more() -> None:
    cluster = FakeCluster()
    metrics = FakeMetrics(cluster)
    # As the build of the fake cluster measured it.
    statistics = FakeStatistics(ServiceTime(0.004 - 8 * 0.003 / 7, 0.003 / 7, max_batch=8))
    statistics.factor = 1.0
    world = World(cluster, metrics, Operator(cluster, metrics=metrics, statistics=statistics))
    await measured(world)
    world.load(1.5)
    await world.ticks(4)
    assert 2 == world.replicas()
    statistics.factor = 2.0
    await world.ticks(60)
    assert world.replicas() in (3, 4)
