"""A process of the operator on a fake cluster, and what matters in the end of its work."""

from collections.abc import Collection
from typing import Any

from dlagent.domain.scaling.past import Past
from dlagent.domain.scaling.values import NoData
from dlagent.domain.status.errors import ClusterError
from dlagent.reconcile.agent import AgentReconciler
from dlagent.reconcile.ports import BatchStatistics, Key, MetricsSource
from dlagent.reconcile.routing import keys_for
from dlagent.reconcile.scaling import Scaler
from dlagent.runtime.settings import Settings
from tests.unit.reconcile.fake import SETTINGS, FakeCluster


class NoPrometheus:
    """Fits `reconcile.ports.MetricsSource`, and knows nothing; `load` has one that does."""

    async def snapshot(self, at: float, thresholds: Collection[float]) -> NoData:
        return NoData("no Prometheus is named")

    async def slo_windows(self, at: float, days: int) -> NoData:
        return NoData("no Prometheus is named")

    async def past(self, agent: tuple[str, str], at: float) -> Past | NoData:
        return NoData("no Prometheus is named")


class NoStatistics:
    """Fits `reconcile.ports.BatchStatistics`: no pod tells anything."""

    async def batch_counts(self, pod: str, pod_ip: str, at: float) -> NoData:
        return NoData("this pod counts nothing")


class Operator:
    """A process of the operator on a FakeCluster: its queue, without time-outs of its own.

    The scaler ticks when a test says so; what it wakes is in `woken`.
    """

    def __init__(
        self,
        cluster: FakeCluster,
        settings: Settings = SETTINGS,
        metrics: MetricsSource | None = None,
        statistics: BatchStatistics | None = None,
    ) -> None:
        self.cluster = cluster
        self.woken: list[Key] = []
        self.scaler = Scaler(
            cluster,
            metrics or NoPrometheus(),
            statistics or NoStatistics(),
            cluster,
            settings,
            self.woken.append,
            lambda _reason: None,
        )
        self.reconciler = AgentReconciler(
            cluster, cluster, cluster, cluster, self.scaler, cluster, settings
        )

    async def settle(self, rounds: int = 40) -> None:
        """Visit agents and let the cluster act until a round changed nothing at all."""
        for _ in range(rounds):
            before = {
                key: obj["metadata"]["resourceVersion"] for key, obj in self.cluster.objects.items()
            }
            failed = await self.visit_all()
            self.cluster.step()
            after = {
                key: obj["metadata"]["resourceVersion"] for key, obj in self.cluster.objects.items()
            }
            if before == after and not failed:
                return
        raise AssertionError("the cluster does not come to rest")

    async def visit_all(self) -> bool:
        """Visit every agent once; True where a write of one failed."""
        failures = self.cluster.failures
        for agent in self.cluster.of_kind("DLAgent"):
            metadata = agent["metadata"]
            try:
                await self.reconciler.reconcile(Key(metadata["namespace"], metadata["name"]))
            except ClusterError:
                continue  # the queue visits it again
        return self.cluster.failures > failures

    async def visit_touched(self) -> None:
        """Visit only what events ask for: shows that routing misses nothing."""
        touched, self.cluster.touched = self.cluster.touched, []
        keys = {key for kind, obj in touched for key in keys_for(kind, obj, self.cluster)}
        for key in sorted(keys):
            await self.reconciler.reconcile(key)


def end_state(cluster: FakeCluster) -> dict[str, Any]:
    """What matters at the end: every object without what differs from run to run."""
    return {
        f"{kind}/{name}": _plain(obj)
        for (kind, _, name), obj in sorted(cluster.objects.items())
        if kind != "Pod"
    }


def _plain(value: Any) -> Any:
    unstable = {
        "uid", "creationTimestamp", "resourceVersion", "lastTransitionTime", "generation",
        "observedGeneration", "args", "template", "dlagent.io/template-version",
    }  # fmt: skip
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if key not in unstable}
    return [_plain(item) for item in value] if isinstance(value, list) else value
