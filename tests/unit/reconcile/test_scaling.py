"""Whole lives of agents under load: the scaler decides, the reconciler carries it out.

The modes are in test_scaling_modes.py, the promise is in test_promise.py.
"""

from typing import Any

import numpy as np
import pytest

from dlagent.domain.scaling.history import History
from dlagent.domain.scaling.past import Past
from dlagent.reconcile import scaling
from dlagent.reconcile.ports import Key
from dlagent.reconcile.scaled import scaled_agent
from tests.unit.reconcile.fake import NAMESPACE, agent_object
from tests.unit.reconcile.lives import message, told
from tests.unit.reconcile.world import DOWN, HOLD_TICKS, World, measured


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


async def test_pods_that_start_slower_than_the_setting_says_are_kept_for_longer(
    world: World,
) -> None:
    world.cluster.start_seconds = 100
    await measured(world)
    world.load(3.5)
    await world.ticks(20)
    assert 4 == world.replicas()
    world.load(0.1)
    await world.ticks(19)
    assert 4 == world.replicas()
    await world.ticks(4)
    assert 3 == world.replicas()


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


async def test_a_restart_lowers_nothing_before_another_hold_time(world: World) -> None:
    await measured(world)
    world.load(2.5)
    await world.ticks(HOLD_TICKS)
    world.load(0.1)
    await world.ticks(HOLD_TICKS - 2)
    world.restart()
    await world.ticks(HOLD_TICKS - 2)
    assert 3 == world.replicas()


async def test_a_restart_decides_by_what_prometheus_remembers(world: World) -> None:
    """Two days in which for two of each ten minutes four times as much came: now they are due."""
    await measured(world)
    world.load(0.5)
    await world.ticks(5)
    assert 1 == world.replicas(), "nothing is known of the past"
    rate = world.metrics.rates["shoes"]
    usual = np.tile(np.repeat([4 * rate, rate], [2, 8]), 288).astype(np.float32)
    past = Past(History(usual, world.cluster.time.timestamp()))
    world.metrics.pasts[NAMESPACE, "shoes"] = past
    world.restart()
    await world.ticks(1)
    assert world.replicas() > 1
    assert "Forecast" == world.scaling.reason


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
    world.load(1.2)
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


async def test_a_pod_that_gets_most_of_it_is_named_and_brings_no_more_replicas(
    world: World,
) -> None:
    await measured(world)
    world.load(2.5)
    await world.ticks(8)
    world.metrics.favoured = 0.8
    await world.ticks(20)
    assert ("True", "TrafficSkew") == told(world.cluster, "ScalingLimited")
    assert "Of 3 pods that answer, shoes-" in message(world.cluster, "ScalingLimited")
    assert 1 == world.events("TrafficSkew")
    assert 3 == world.replicas()
    world.metrics.favoured = None
    await world.ticks(12)
    assert ("False", "WithinLimits") == told(world.cluster, "ScalingLimited")
