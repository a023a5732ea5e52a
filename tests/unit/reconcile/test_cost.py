"""What an agent's replicas cost, in the operator's metrics."""

import re

from dlagent.runtime.metrics import Metrics
from dlagent.runtime.settings import PriceSettings, Settings
from tests.unit.reconcile.fake import SETTINGS
from tests.unit.reconcile.operator_process import Operator
from tests.unit.reconcile.world import World, measured

PRICES = PriceSettings(currency="EUR", replica=1.0, accelerators={"nvidia.com/gpu": 2.0})
PRICED = SETTINGS.model_copy(update={"prices": PRICES})


def told(world: World, settings: Settings) -> dict[str, float]:
    """The operator's metrics of cost, by name and the label that each has beside the agent's."""
    metrics = Metrics()
    currency = settings.prices.currency if settings.prices is not None else None
    metrics.observe_agents(world.operator.scaler.figures, currency)
    found = re.findall(
        r"^dlagent_(replica_seconds|accelerator_seconds|cost)_total\{(.+)\} (\S+)$",
        metrics.render().decode(),
        re.MULTILINE,
    )
    return {
        " ".join((name, *re.findall(r'(?:resource|currency)="([^"]+)"', labels))): float(value)
        for name, labels, value in found
    }


async def test_an_hour_of_one_replica_with_two_accelerators(world: World) -> None:
    world.operator = Operator(world.cluster, PRICED, world.metrics)
    accelerator = {"resource": "nvidia.com/gpu", "count": 2}
    await measured(world, serving={"accelerator": accelerator})
    before = told(world, PRICED)
    await world.ticks(240)
    after = told(world, PRICED)
    used = {name: round(value - before[name], 6) for name, value in after.items()}
    assert {
        "replica_seconds": 3600,
        "accelerator_seconds nvidia.com/gpu": 7200,
        "cost EUR": 5,
    } == used


async def test_without_prices_the_time_is_told_and_no_cost(world: World) -> None:
    await measured(world)
    found = told(world, SETTINGS)
    assert ["replica_seconds"] == list(found)
    assert found["replica_seconds"] > 0


async def test_an_accelerator_of_unknown_price_has_no_cost(world: World) -> None:
    world.operator = Operator(world.cluster, PRICED, world.metrics)
    await measured(world, serving={"accelerator": {"resource": "amd.com/gpu"}})
    found = told(world, PRICED)
    assert ["replica_seconds", "accelerator_seconds amd.com/gpu"] == list(found)
