"""Whole lives of agents under load: the scaler decides, the reconciler carries it out.

`ticks` is a scaler at work: time passes, it looks, and what it woke is visited.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from dlagent.api.status import ScalingStatus
from dlagent.domain.scaling.slo import SloWindow, Verdict
from dlagent.domain.scaling.values import NoData
from dlagent.reconcile import scaling
from dlagent.reconcile.ports import Key
from dlagent.reconcile.scaled import scaled_agent
from tests.unit.reconcile.fake import NAMESPACE, FakeCluster, Operator, agent_object
from tests.unit.reconcile.lives import message, served, status, told
from tests.unit.reconcile.load import FakeMetrics

HOLD_TICKS = 13  # three starts of a minute each and some, at a tick each 15 s
DOWN = NoData("Prometheus does not answer")


@dataclass
class World:
    cluster: FakeCluster
    metrics: FakeMetrics
    operator: Operator

    async def ticks(self, count: int = 1) -> None:
        for _ in range(count):
            self.metrics.advance()
            self.operator.woken.clear()
            await self.operator.scaler.tick()
            if self.operator.woken:
                await self.operator.settle()

    def restart(self) -> None:
        self.operator = Operator(self.cluster, metrics=self.metrics)

    def load(self, replicas: float, name: str = "shoes") -> None:
        """As much as so many replicas can answer within the promise."""
        view = self.operator.scaler.view(Key(NAMESPACE, name))
        assert view is not None
        assert view.decision is not None
        assert view.decision.capacity is not None
        self.metrics.rates[name] = view.decision.capacity * replicas

    def replicas(self, name: str = "shoes") -> int:
        (deployment,) = (
            obj
            for obj in self.cluster.of_kind("Deployment")
            if obj["metadata"]["labels"]["dlagent.io/name"] == name
        )
        count: int = deployment["spec"]["replicas"]
        return count

    @property
    def scaling(self) -> ScalingStatus:
        found = status(self.cluster).scaling
        assert found is not None
        return found

    def events(self, reason: str) -> int:
        return self.cluster.events.count(("shoes", reason))


@pytest.fixture
def world(cluster: FakeCluster) -> World:
    metrics = FakeMetrics(cluster)
    return World(cluster, metrics, Operator(cluster, metrics=metrics))


async def measured(world: World, **spec: object) -> None:
    """An agent that serves and is measured, with next to no load."""
    world.metrics.rates["shoes"] = 1.0
    await served(world.cluster, world.operator, **spec)
    await world.ticks(4)
    assert ("True", "Active") == told(world.cluster, "ScalingActive")


async def test_load_beyond_one_replica_brings_as_many_as_it_needs_at_once(world: World) -> None:
    await measured(world)
    world.load(2.5)
    await world.ticks(4)
    assert 3 == world.replicas()
    assert (3, "Load") == (world.scaling.desired, world.scaling.reason)
    assert "3 replicas" in (world.scaling.message or "")
    assert world.scaling.last_scale_time is not None
    assert world.events("ScaledUp") > 0


async def test_what_waits_is_worked_off_by_more_than_the_rate_needs(world: World) -> None:
    await measured(world)
    world.load(0.9)
    world.metrics.pod_rate = world.metrics.rates["shoes"] * 0.5
    await world.ticks(6)
    assert world.replicas() > 1
    assert "Backlog" == world.scaling.reason


async def test_fewer_only_after_the_whole_hold_time_and_one_at_a_time(world: World) -> None:
    await measured(world)
    world.load(3.5)
    await world.ticks(HOLD_TICKS)
    assert 4 == world.replicas()
    world.load(0.1)
    await world.ticks(HOLD_TICKS - 2)
    assert 4 == world.replicas()
    await world.ticks(4)
    assert 3 == world.replicas()
    await world.ticks(20)
    assert 1 == world.replicas()
    assert 3 == world.events("ScaledDown")


async def test_nothing_is_lowered_while_nothing_is_known(world: World) -> None:
    await measured(world)
    world.load(2.5)
    await world.ticks(HOLD_TICKS)
    world.metrics.fault = DOWN
    world.load(0.1)
    await world.ticks(3 * HOLD_TICKS)
    assert 3 == world.replicas()
    assert ("False", "MetricsUnavailable") == told(world.cluster, "ScalingActive")
    assert "Prometheus does not answer" in message(world.cluster, "ScalingActive")
    world.metrics.fault = None
    await world.ticks(HOLD_TICKS - 2)
    assert 3 == world.replicas(), "after the gap another hold time passes"
    await world.ticks(20)
    assert 1 == world.replicas()
    assert ("True", "Active") == told(world.cluster, "ScalingActive")


async def test_a_restart_of_the_operator_changes_nothing(world: World) -> None:
    await measured(world)
    world.load(2.5)
    await world.ticks(HOLD_TICKS)
    versions = world.cluster.versions()
    world.restart()
    await world.operator.settle()
    await world.ticks(3)
    assert versions == world.cluster.versions()


async def test_after_a_restart_nothing_is_shown_that_is_not_known(world: World) -> None:
    world.metrics.windows[NAMESPACE, "shoes"] = SloWindow(10_000, 9_990, 7200)
    await measured(world)
    shown = []
    world.restart()
    scaler = world.operator.scaler
    scaler._wake = lambda key: shown.append(scaler.view(key))  # the reconciler may come at once
    await scaler.tick()
    assert {Verdict.MET} == {view.slo.verdict for view in shown if view is not None}


async def test_a_restart_lowers_nothing_before_another_hold_time(world: World) -> None:
    await measured(world)
    world.load(2.5)
    await world.ticks(HOLD_TICKS)
    world.load(0.1)
    await world.ticks(HOLD_TICKS - 2)
    world.restart()
    await world.ticks(HOLD_TICKS - 2)
    assert 3 == world.replicas()


async def test_an_operator_that_died_before_it_wrote_the_status_lowers_nothing(
    world: World,
) -> None:
    await measured(world)
    before = dict(world.cluster.objects["DLAgent", NAMESPACE, "shoes"])
    world.load(2.5)
    await world.ticks(5)
    world.cluster.put({**before, "metadata": dict(before["metadata"])})
    assert 1 == world.scaling.desired
    world.restart()
    await world.operator.settle()
    assert 3 == world.replicas()
    world.metrics.fault = DOWN
    await world.ticks(5)
    assert 3 == world.replicas()


async def test_what_somebody_else_makes_of_the_deployment_is_put_right(world: World) -> None:
    await measured(world)
    (deployment,) = world.cluster.of_kind("Deployment")
    deployment["spec"]["replicas"] = 7
    world.cluster.put(deployment)
    await world.operator.settle()
    assert 1 == world.replicas()


async def test_the_steady_state_under_load_writes_nothing(world: World) -> None:
    await measured(world)
    world.load(1.5)
    await world.ticks(HOLD_TICKS + 4)
    versions = world.cluster.versions()
    await world.ticks(30)
    assert versions == world.cluster.versions()


async def test_load_beyond_the_maximum_is_said_with_its_number(world: World) -> None:
    await measured(world, scaling={"maxReplicas": 2})
    world.load(4.5)
    await world.ticks(5)
    assert 2 == world.replicas()
    assert ("True", "AtMaximum") == told(world.cluster, "ScalingLimited")
    assert "needs 5 replicas; spec.scaling.maxReplicas is 2" in message(
        world.cluster, "ScalingLimited"
    )


async def test_a_minimum_above_the_need_is_said(world: World) -> None:
    await measured(world, scaling={"minReplicas": 2})
    assert 2 == world.replicas()
    assert ("True", "AtMinimum") == told(world.cluster, "ScalingLimited")


async def test_bounds_that_change_count_at_once(world: World) -> None:
    await measured(world)
    world.load(3.5)
    await world.ticks(5)
    world.cluster.edit(scaling={"maxReplicas": 2})
    await world.operator.settle()
    assert 2 == world.replicas()


async def test_in_mode_manual_the_user_sets_the_number(world: World) -> None:
    world.metrics.rates["shoes"] = 1e5
    await served(world.cluster, world.operator, scaling={"mode": "Manual"}, replicas=2)
    await world.ticks(5)
    assert 2 == world.replicas()
    assert ("False", "Manual") == told(world.cluster, "ScalingActive")
    assert status(world.cluster).scaling is None


async def test_in_mode_advise_the_status_says_it_and_the_replicas_stay(world: World) -> None:
    await measured(world)
    world.cluster.edit(scaling={"mode": "Advise"})
    await world.operator.settle()
    world.load(2.5)
    await world.ticks(5)
    assert 1 == world.replicas()
    assert 3 == world.scaling.desired
    assert ("True", "Advise") == told(world.cluster, "ScalingActive")
    assert world.events("ScalingAdvised")


async def test_from_manual_to_auto_the_replicas_are_taken_over(world: World) -> None:
    world.metrics.rates["shoes"] = 1.0
    await served(world.cluster, world.operator, scaling={"mode": "Manual"}, replicas=4)
    await world.ticks(4)
    world.cluster.edit(scaling={"mode": "Auto"}, replicas=None)
    await world.operator.settle()
    await world.ticks(2)
    assert 4 == world.replicas()


async def test_from_advise_to_auto_the_replicas_are_taken_over_and_not_the_advice(
    world: World,
) -> None:
    world.metrics.rates["shoes"] = 1.0
    await served(world.cluster, world.operator, scaling={"mode": "Manual"}, replicas=4)
    await world.ticks(4)
    world.cluster.edit(scaling={"mode": "Advise"}, replicas=None)
    await world.operator.settle()
    await world.ticks(2 * HOLD_TICKS)
    assert 4 == world.replicas()
    assert 4 > (world.scaling.desired or 0)
    world.cluster.edit(scaling={"mode": "Auto"})
    await world.operator.settle()
    assert 4 == world.replicas()
    await world.ticks(2)
    assert 4 == world.replicas(), "as carefully as ever"


async def test_a_number_set_by_hand_in_between_is_taken_over(world: World) -> None:
    await measured(world)
    world.cluster.edit(scaling={"mode": "Manual"}, replicas=4)
    await world.operator.settle()
    world.cluster.edit(scaling={"mode": "Auto"}, replicas=None)
    await world.operator.settle()
    await world.ticks(2)
    assert 4 == world.replicas()


async def test_in_mode_advise_an_agent_without_replicas_gets_the_fewest(world: World) -> None:
    await served(world.cluster, world.operator, scaling={"mode": "Manual"}, replicas=1)
    world.cluster.edit(replicas=0)
    await world.operator.settle()
    world.cluster.edit(scaling={"mode": "Advise"}, replicas=None)
    await world.operator.settle()
    assert 1 == world.replicas()


async def test_a_paused_agent_is_not_scaled(world: World) -> None:
    await measured(world)
    world.load(2.5)
    world.cluster.edit(paused=True)
    await world.operator.settle()
    await world.ticks(5)
    assert 1 == world.replicas()
    assert ("False", "Paused") == told(world.cluster, "ScalingActive")


async def test_a_new_revision_comes_up_as_large_as_the_load_needs(world: World) -> None:
    await measured(world)
    world.load(2.5)
    await world.ticks(5)
    world.cluster.edit(serving={"env": [{"name": "A", "value": "1"}]})
    await world.operator.settle()
    assert 3 == world.replicas()
    assert ("True", "Serving") == told(world.cluster, "Ready")


async def test_an_agent_deleted_while_it_scales_leaves_nothing(world: World) -> None:
    await measured(world)
    world.load(2.5)
    world.metrics.advance(4)
    await world.operator.scaler.tick()
    world.cluster.remove("DLAgent", "shoes")
    world.cluster.step()
    await world.operator.settle()
    await world.ticks(2)
    assert [] == world.cluster.of_kind("Deployment")
    assert world.operator.scaler.view(Key(NAMESPACE, "shoes")) is None


async def test_agents_are_scaled_each_by_its_own_load(world: World) -> None:
    world.cluster.put(agent_object("boots"))
    world.metrics.rates["boots"] = 1.0
    await measured(world)
    world.load(1.5)
    world.load(2.5, "boots")
    await world.ticks(5)
    assert (2, 3) == (world.replicas(), world.replicas("boots"))


async def test_the_slo_is_judged_from_what_prometheus_recorded(world: World) -> None:
    world.metrics.windows[NAMESPACE, "shoes"] = SloWindow(10_000, 9_990, 7200)
    await measured(world)
    assert ("True", "Met") == told(world.cluster, "SLOMet")
    slo = status(world.cluster).slo
    assert slo is not None
    assert (90, 2, "Met") == (slo.error_budget_left_percent, slo.observed_hours, slo.verdict)
    world.metrics.windows[NAMESPACE, "shoes"] = SloWindow(10_000, 9_000, 7200)
    await world.ticks(5)
    assert ("False", "BudgetSpent") == told(world.cluster, "SLOMet")
    assert world.events("BudgetSpent")


async def test_a_record_that_is_missing_is_no_verdict(world: World) -> None:
    await measured(world)
    assert ("Unknown", "NoData") == told(world.cluster, "SLOMet")


async def test_answers_whose_latency_nobody_tells_are_not_taken_for_no_traffic(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.metrics.windows[NAMESPACE, "shoes"] = SloWindow(0, 0, 7200)
    world.metrics.quantiles = ()
    await measured(world)
    await world.ticks(5)
    assert ("Unknown", "NoData") == told(world.cluster, "SLOMet")
    assert "no pod tells how long" in message(world.cluster, "SLOMet")


async def test_a_verdict_outlives_a_short_outage(world: World) -> None:
    world.metrics.windows[NAMESPACE, "shoes"] = SloWindow(10_000, 9_000, 7200)
    await measured(world)
    told_of = world.events("BudgetSpent")
    for _ in range(3):
        world.metrics.fault = DOWN
        await world.ticks(5)
        assert ("False", "BudgetSpent") == told(world.cluster, "SLOMet")
        world.metrics.fault = None
        await world.ticks(5)
    assert told_of == world.events("BudgetSpent")
    world.metrics.fault = DOWN
    await world.ticks(50)
    assert ("Unknown", "NoData") == told(world.cluster, "SLOMet")


async def test_what_was_answered_is_counted_for_the_record(world: World) -> None:
    await measured(world)
    world.load(1.0)
    await world.ticks(4)
    (figures,) = world.operator.scaler.figures()
    assert figures.requests > 0
    assert 0.97 < figures.good / figures.requests <= 1
    assert figures.arrivals is not None
    assert {0.5, 0.99} == figures.latency_seconds.keys()


async def test_an_agent_that_cannot_be_looked_at_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.cluster.put(agent_object("boots"))
    world.metrics.rates["boots"] = 1.0
    await measured(world)
    world.load(2.5)
    monkeypatch.setitem(world.cluster.objects["DLAgent", NAMESPACE, "boots"], "status", "garbage")
    await world.ticks(5)
    assert 3 == world.replicas()


async def test_an_artifact_whose_times_cannot_be_used_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.cluster.put(agent_object("boots"))
    world.metrics.rates["boots"] = 1.0
    await measured(world)
    world.load(2.5)

    def scaled_or_not(obj: Any, *others: Any) -> Any:
        if obj["metadata"]["name"] == "boots":
            raise ZeroDivisionError
        return scaled_agent(obj, *others)

    monkeypatch.setattr(scaling, "scaled_agent", scaled_or_not)
    world.cluster.edit(slo={"latency": {"thresholdMilliseconds": 101}})
    monkeypatch.setitem(
        world.cluster.objects["DLAgent", NAMESPACE, "boots"]["metadata"], "generation", 9
    )
    await world.ticks(5)
    assert 3 == world.replicas()
