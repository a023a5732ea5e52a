"""The Kubernetes kinds that the operator watches and writes: where they are in the API.

One table for the watches (handlers), the lists (api) and the writes (cluster).
"""

from dataclasses import dataclass

from dlagent.api.names import MANAGED_BY, MANAGED_BY_LABEL
from dlagent.api.types import GROUP, KIND, PLURAL, VERSION


@dataclass(frozen=True)
class KindInfo:
    kind: str
    group: str  # "" is the core API
    version: str
    plural: str
    selector: str | None = f"{MANAGED_BY_LABEL}={MANAGED_BY}"  # which of them we look at

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, sub: str | None = None) -> str:
        """Of the collection, an object or its subresource; namespace None: of all namespaces."""
        parts = ["/apis" if self.group else "/api", self.api_version]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, sub) if part is not None]
        return "/".join(parts)


AGENT = KindInfo(KIND, GROUP, VERSION, PLURAL, selector=None)
WATCHED = (
    AGENT,
    KindInfo("Deployment", "apps", "v1", "deployments"),
    KindInfo("Job", "batch", "v1", "jobs"),
    KindInfo("Pod", "", "v1", "pods"),
    KindInfo("Service", "", "v1", "services"),
    KindInfo("ConfigMap", "", "v1", "configmaps"),
    KindInfo("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"),
    KindInfo("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets"),
    KindInfo("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies"),
    KindInfo("ServiceAccount", "", "v1", "serviceaccounts"),
)
BY_KIND = {info.kind: info for info in WATCHED}
LEASE = KindInfo("Lease", "coordination.k8s.io", "v1", "leases", selector=None)
EVENT = KindInfo("Event", "", "v1", "events", selector=None)
