"""Known events in the lives of agents: replicas are there before them, and go after them.

The world begins on 1 January 2026 at 12:00 UTC; its pods take a minute to start.
"""

from typing import Any

from tests.unit.reconcile.lives import message, told
from tests.unit.reconcile.world import DOWN, HOLD_TICKS, World, measured

TICKS_AN_HOUR = 240


def schedule(cron: str, minutes: int = 60, replicas: int = 4, **more: Any) -> dict[str, Any]:
    event = {"cron": cron, "durationMinutes": minutes, "minReplicas": replicas, **more}
    return {"schedule": [{"name": "sale", **event}]}


async def test_replicas_are_there_when_the_event_begins_and_go_after_it(world: World) -> None:
    await measured(world, scaling=schedule("0 13 * * *", timeZone="Etc/UTC"))
    minutes = (world.cluster.time.hour - 12) * 60 + world.cluster.time.minute
    await world.ticks(4 * (58 - minutes))
    assert (12, 58) == (world.cluster.time.hour, world.cluster.time.minute)
    assert 1 == world.replicas()
    await world.ticks(4)
    assert 4 == world.replicas(), "a minute before it begins they are started"
    assert (4, "Bounds") == (world.scaling.desired, world.scaling.reason)
    said = world.scaling.message or ""
    assert said.endswith(
        "spec.scaling.schedule asks for 4 replicas: sale, 2026-01-01 13:00 to 14:00 (Etc/UTC)."
    )
    assert ("True", "AtMinimum") == told(world.cluster, "ScalingLimited")
    assert "spec.scaling.schedule asks for 4 (sale, 2026" in message(
        world.cluster, "ScalingLimited"
    )
    await world.ticks(TICKS_AN_HOUR)
    assert 4 == world.replicas()
    await world.ticks(4 * 5)
    assert 1 == world.replicas()
    assert ("False", "WithinLimits") == told(world.cluster, "ScalingLimited")


async def test_without_metrics_the_schedule_still_scales_up(world: World) -> None:
    await measured(world, scaling=schedule("30 12 * * *"))
    world.metrics.fault = DOWN
    await world.ticks(4 * 30)
    assert 4 == world.replicas()
    assert "NoData" == world.scaling.reason
    assert "asks for 4 replicas: sale" in (world.scaling.message or "")
    assert ("False", "MetricsUnavailable") == told(world.cluster, "ScalingActive")
    await world.ticks(TICKS_AN_HOUR)
    assert 4 == world.replicas(), "it is over, and nothing is lowered without data"


async def test_load_beyond_the_event_counts(world: World) -> None:
    await measured(world, scaling=schedule("* * * * *", replicas=2))
    assert 2 == world.replicas()
    world.load(3.5)
    await world.ticks(HOLD_TICKS)
    assert 4 == world.replicas()
    assert "Load" == world.scaling.reason
    assert ("False", "WithinLimits") == told(world.cluster, "ScalingLimited")


async def test_an_event_that_the_operator_cannot_read_is_said_with_its_field(world: World) -> None:
    await measured(world)
    world.load(2.5)
    await world.ticks(HOLD_TICKS)
    world.cluster.edit(scaling=schedule("0 9 * * *", timeZone="Europe/Atlantis"))
    await world.operator.settle()
    assert ("False", "InvalidSpec") == told(world.cluster, "Ready")
    said = message(world.cluster)
    assert "spec.scaling.schedule[0].timeZone is 'Europe/Atlantis', and the operator" in said
    await world.ticks(4)
    assert 3 == world.replicas(), "what serves goes on"
