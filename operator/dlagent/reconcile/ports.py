"""What the reconcilers need from outside. Adapters and the runtime fit by shape, not by import.

All methods of `ClusterWriter` raise `dlagent.domain.status.errors.ClusterError` where the cluster
refuses or does not answer.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from dlagent.domain.artifact.selfcheck import SelfCheck
from dlagent.domain.scaling.batch_counts import BatchCounts
from dlagent.domain.scaling.past import Past
from dlagent.domain.scaling.samples import SnapshotReading
from dlagent.domain.scaling.slo import SloWindow
from dlagent.domain.scaling.values import NoData
from dlagent.domain.scaling.view import ScalingView

# A Kubernetes object as JSON. Whoever reads one from the cache must not change it.
Object = dict[str, Any]


class Key(NamedTuple):
    """Names a DLAgent: the unit of reconciling."""

    namespace: str
    name: str


class ClusterReader(Protocol):
    """The cache: what the watches have shown last. Kinds are Kubernetes kinds ("Deployment")."""

    def get(self, kind: str, namespace: str, name: str) -> Object | None: ...

    def list(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        """All objects of the namespace that carry all of `labels`."""
        ...

    def keys(self, kind: str) -> Sequence[tuple[str, str]]:
        """Namespace and name of all objects of the kind."""
        ...


class ClusterWriter(Protocol):
    """Requests that change the cluster. Those that apply return what the apiserver stored."""

    async def apply(self, obj: Object) -> Object:
        """Server-side apply, forced, as manager dlagent-operator."""
        ...

    async def read(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object as it is now, past the cache, which has only what carries our labels."""
        ...

    async def create(self, obj: Object) -> None:
        """Create it, as manager dlagent-operator; what has the name already is left as it is."""
        ...

    async def apply_status(self, obj: Object) -> Object:
        """Server-side apply, forced, of a DLAgent's complete status.

        `obj` holds apiVersion, kind, status, and of the metadata name, namespace and the
        resourceVersion that the status was decided on: a conflict (409) where it is not current.
        """
        ...

    async def scale(self, partial: Object) -> Object:
        """Server-side apply, forced, as manager dlagent-scaler.

        `partial` is a Deployment with nothing but name, namespace, uid, one annotation and
        spec.replicas. Does nothing where the live object (read, not cached) has them already.
        """
        ...

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Delete in the background (propagationPolicy: Background; a Job's pods go as well).

        Preconditioned on the uid; an object that is gone already is no error.
        """
        ...

    async def emit(self, agent: Object, type_: str, reason: str, message: str) -> None:
        """Record an Event of type Normal or Warning about the DLAgent."""
        ...


class ConfigMaps(Protocol):
    """What users keep in the cluster, which the cache does not have."""

    async def read(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object as it is now; None where there is none. Raises as ClusterWriter does."""
        ...


class BuildLogs(Protocol):
    """Output of build pods."""

    async def last_lines(self, namespace: str, pod: str, container: str) -> list[str]:
        """The last lines it has written; none where there are none or they are unreadable."""
        ...


class Inference(Protocol):
    """Questions to serving pods."""

    async def self_check(self, pod_ip: str, agent: str, check: SelfCheck) -> str | None:
        """Ask the golden input; None where the golden output came back, else what differs.

        Raises dlagent.domain.status.errors.PodUnreachable where no answer came.
        """
        ...


class MetricsSource(Protocol):
    """Measurements of all agents, each in one question. What goes wrong is an answer as well."""

    async def snapshot(self, at: float, thresholds: Collection[float]) -> SnapshotReading:
        """What is known of all Triton pods at a time (Unix seconds).

        `thresholds` (seconds) are those that anybody will ask for of a histogram of latencies.
        """
        ...

    async def slo_windows(
        self, at: float, days: int
    ) -> Mapping[tuple[str, str], SloWindow] | NoData:
        """What is recorded of each agent (namespace and name) in the days before."""
        ...

    async def past(self, agent: tuple[str, str], at: float) -> Past | NoData:
        """What is recorded of one agent (namespace and name) to forecast from."""
        ...


class BatchStatistics(Protocol):
    """What serving pods count of their batches. What goes wrong is an answer as well."""

    async def batch_counts(self, pod: str, pod_ip: str, at: float) -> BatchCounts | NoData:
        """The counters of a pod by now, which is the time `at` (Unix seconds)."""
        ...


class ScalingViews(Protocol):
    """What the scaler decided last."""

    def view(self, key: Key) -> ScalingView | None:
        """None where it has not looked at the agent yet."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, with its zone (UTC)."""
        ...
