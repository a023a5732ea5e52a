"""What the operator tells of its last decision: to who asks it, and to Prometheus."""

import re

import pytest

from dlagent.domain.scaling.situation import Situation, from_json, to_json
from dlagent.reconcile.ports import Key
from dlagent.runtime.metrics import Metrics
from tests.unit.reconcile.fake import NAMESPACE
from tests.unit.reconcile.lives import served
from tests.unit.reconcile.world import DOWN, HOLD_TICKS, World, measured

SHOES = Key(NAMESPACE, "shoes")


def explained(world: World) -> Situation:
    found = world.operator.scaler.explain(SHOES)
    assert found is not None
    return found


def recorded(world: World) -> dict[str, float]:
    """The operator's gauges, by name and the label that each has beside the agent's."""
    metrics = Metrics()
    metrics.observe_agents(world.operator.scaler.figures, None)
    found = re.findall(r"^dlagent_(\w+)\{(.+)\} (\S+)$", metrics.render().decode(), re.MULTILINE)
    return {
        " ".join((name, *re.findall(r'(?:reason|state)="([^"]+)"', labels))): float(value)
        for name, labels, value in found
    }


async def test_a_load_is_explained_with_what_would_change_it(world: World) -> None:
    await measured(world)
    world.load(2.5)
    await world.ticks(10)
    found = explained(world)
    assert found.decided is not None
    assert (3, "Load", 1) == (
        found.decided.desired,
        found.decided.reason,
        found.decided.min_replicas,
    )
    assert found.replica.capacity is not None
    assert found.load.arrivals == pytest.approx(2.5 * found.replica.capacity, rel=0.01)
    assert 3 == sum(found.load.pods.values())
    assert found.turning is not None
    assert found.turning.more_from == pytest.approx(3 * found.replica.capacity, rel=0.02)


async def test_after_twenty_minutes_there_is_a_forecast_for_both(world: World) -> None:
    await measured(world)
    world.load(2.5)
    await world.ticks(130)
    found = explained(world)
    assert found == from_json(to_json(found)), "as it travels to who asks"
    foreseen = found.foreseen
    assert foreseen is not None
    gauges = recorded(world)
    assert foreseen.rate == gauges["foreseen_requests_per_second"]
    assert foreseen.peak == gauges["foreseen_peak_requests_per_second"]
    assert foreseen.price == gauges["miss_price_replica_seconds"]


async def test_the_decision_is_recorded_with_its_reason_and_its_bounds(world: World) -> None:
    await measured(world)
    world.load(2.5)
    await world.ticks(10)
    gauges = recorded(world)
    assert 1 == gauges["scaling_reason Load"]
    assert (3, 3, 1) == (
        gauges["desired_replicas"],
        gauges["needed_replicas"],
        gauges["min_replicas"],
    )
    assert 60 == gauges["pod_start_seconds"]
    assert 3 == gauges["ready_replicas"]
    assert not [name for name in gauges if name.startswith("unready_pods")]


async def test_pods_that_do_not_answer_are_recorded_by_state(world: World) -> None:
    await measured(world)
    world.cluster.broken = lambda _deployment: True
    await world.operator.settle()
    await world.ticks(1)
    gauges = recorded(world)
    assert 0 == gauges["ready_replicas"]
    (state,) = explained(world).load.pods
    assert 1 == gauges[f"unready_pods {state}"]


async def test_lost_metrics_are_explained_and_not_taken_for_zero(world: World) -> None:
    await measured(world)
    world.load(2.5)
    await world.ticks(HOLD_TICKS)
    world.metrics.fault = DOWN
    await world.ticks(2)
    found = explained(world)
    assert (None, DOWN.why) == (found.load.arrivals, found.load.why)
    assert found.decided is not None
    assert (3, "NoData") == (found.decided.desired, found.decided.reason)
    assert found.turning is None
    gauges = recorded(world)
    assert 1 == gauges["scaling_reason NoData"]
    assert "arrival_requests_per_second" not in gauges
    assert "needed_replicas" not in gauges


async def test_what_a_replica_can_do_is_told_by_the_rows_that_requests_had(world: World) -> None:
    world.metrics.rows = 8
    await measured(world)
    await world.ticks(2)
    before = explained(world).replica.capacity
    world.metrics.fault = DOWN
    await world.ticks(2)
    assert before == explained(world).replica.capacity


async def test_in_mode_manual_nobody_has_decided(world: World) -> None:
    world.metrics.rates["shoes"] = 1.0
    await served(world.cluster, world.operator, scaling={"mode": "Manual"}, replicas=2)
    await world.ticks(5)
    found = explained(world)
    assert ("Manual", None, None) == (found.mode, found.decided, found.turning)
    assert {"ready": 2} == found.load.pods
    assert not {"min_replicas", "desired_replicas", "scaling_reason"} & recorded(world).keys()


async def test_an_event_that_raises_the_lower_bound_is_named(world: World) -> None:
    event = {"name": "Sale", "cron": "* * * * *", "durationMinutes": 60, "minReplicas": 4}
    await measured(world, scaling={"schedule": [event]})
    found = explained(world).decided
    assert found is not None
    assert (4, 4) == (found.desired, found.min_replicas)
    assert (found.scheduled or "").startswith("Sale, ")


def test_an_agent_that_nobody_has_looked_at(world: World) -> None:
    assert world.operator.scaler.explain(SHOES) is None
