"""A fake cluster with agents under load, an operator, and time that passes by ticks.

`ticks` is a scaler at work: time passes, it looks, and what it woke is visited. Used by the tests
of whole lives under load; the fixture is in conftest.
"""

from dataclasses import dataclass

from dlagent.api.status import ScalingStatus
from dlagent.domain.scaling.values import NoData
from dlagent.reconcile.ports import Key
from tests.unit.reconcile.fake import NAMESPACE, FakeCluster
from tests.unit.reconcile.lives import served, status, told
from tests.unit.reconcile.load import FakeMetrics
from tests.unit.reconcile.operator_process import Operator

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


async def measured(world: World, **spec: object) -> None:
    """An agent that serves and is measured, with next to no load."""
    world.metrics.rates["shoes"] = 1.0
    await served(world.cluster, world.operator, **spec)
    await world.ticks(4)
    assert ("True", "Active") == told(world.cluster, "ScalingActive")
