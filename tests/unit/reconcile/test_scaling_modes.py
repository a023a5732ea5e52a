"""Who decides the number of replicas in each mode, and what becomes of it when the mode changes."""

from typing import Any

import numpy as np
import pytest

from dlagent.domain.scaling.history import History
from dlagent.domain.scaling.past import Past
from dlagent.reconcile.ports import Key
from tests.unit.reconcile.fake import NAMESPACE
from tests.unit.reconcile.lives import served, status, told
from tests.unit.reconcile.world import HOLD_TICKS, World, measured


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


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"scaling": {"mode": "Advise"}}, id="Advise"),
        pytest.param({"scaling": {"mode": "Auto"}}, id="Auto"),
    ],
)
async def test_a_deployment_that_somebody_deletes_comes_back_as_large_as_it_was(
    world: World, spec: dict[str, Any]
) -> None:
    world.metrics.rates["shoes"] = 1.0
    await served(world.cluster, world.operator, scaling={"mode": "Manual"}, replicas=4)
    world.cluster.edit(replicas=None, **spec)
    await world.operator.settle()
    world.cluster.remove("Deployment", world.cluster.of_kind("Deployment")[0]["metadata"]["name"])
    await world.operator.settle()
    assert 4 == world.replicas()


async def test_in_mode_advise_an_agent_without_replicas_gets_the_fewest(world: World) -> None:
    await served(world.cluster, world.operator, scaling={"mode": "Manual"}, replicas=1)
    world.cluster.edit(replicas=0)
    await world.operator.settle()
    world.cluster.edit(scaling={"mode": "Advise"}, replicas=None)
    await world.operator.settle()
    assert 1 == world.replicas()


async def test_an_agent_that_goes_on_after_a_pause_is_told_what_came_meanwhile(
    world: World,
) -> None:
    await measured(world)
    world.cluster.edit(paused=True)
    await world.operator.settle()
    await world.ticks(5)
    usual = np.full(2880, 3 * world.metrics.rates["shoes"], np.float32)
    past = Past(History(usual, world.cluster.time.timestamp()))
    world.metrics.pasts[NAMESPACE, "shoes"] = past
    world.cluster.edit(paused=False)
    await world.operator.settle()
    await world.ticks(1)
    view = world.operator.scaler.view(Key(NAMESPACE, "shoes"))
    assert view is not None
    assert view.decision is not None
    assert view.decision.foreseen is not None, "one tick alone foresees nothing"


async def test_a_paused_agent_is_not_scaled(world: World) -> None:
    await measured(world)
    world.load(2.5)
    world.cluster.edit(paused=True)
    await world.operator.settle()
    await world.ticks(5)
    assert 1 == world.replicas()
    assert ("False", "Paused") == told(world.cluster, "ScalingActive")
