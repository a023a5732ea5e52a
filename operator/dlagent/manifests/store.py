"""A namespace's artifact store: its claim, how pods get at it, and the record of each artifact.

Claim, records and policy have no owner: they belong to the namespace and stay when agents go.
"""

from dataclasses import dataclass, field

from dlagent.api import names
from dlagent.domain.artifact.summary import Summary
from dlagent.manifests import egress
from dlagent.manifests.common import Object
from dlagent.manifests.settings import Store

STORE_LABELS = {
    names.MANAGED_BY_LABEL: names.MANAGED_BY,
    names.PART_OF_LABEL: "dlagent",
    names.COMPONENT_LABEL: "store",
}
SUMMARY_FIELD = "summary"
NETWORK_POLICY_NAME = "dlagent-store"
_MOUNT_PATH = "/artifacts"
_VOLUME = "artifacts"


@dataclass(frozen=True)
class Access:
    """What a pod needs to get at the store: `location` is what its program is told."""

    location: str
    volumes: list[Object] = field(default_factory=list)
    container: Object = field(default_factory=dict)  # volumeMounts or envFrom of its container


def access(namespace: str, store: Store, read_only: bool) -> Access:
    """How pods of a namespace get at its store."""
    if store.url is None:
        return claim_access(read_only)
    return url_access(f"{store.url.rstrip('/')}/{namespace}", store.secret_name)


def claim_access(read_only: bool) -> Access:
    """The claim as a volume."""
    read = {"readOnly": True} if read_only else {}
    source = {"claimName": names.STORE_NAME, **read}
    return Access(
        _MOUNT_PATH,
        [{"name": _VOLUME, "persistentVolumeClaim": source}],
        {"volumeMounts": [{"name": _VOLUME, "mountPath": _MOUNT_PATH, **read}]},
    )


def url_access(location: str, secret_name: str | None) -> Access:
    """A namespace's part of an object store; a Secret's entries become the environment."""
    if secret_name is None:
        return Access(location)
    return Access(location, [], {"envFrom": [{"secretRef": {"name": secret_name}}]})


def network_policy(namespace: str, store: Store) -> Object:
    """What those may reach that hold the store: of a claim nothing more, of an object store it.

    It adds to the policies of builds and agents, whose pods may then reach that much as well.
    """
    components = ["build", "serving", "store"] if store.url is not None else ["store"]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": NETWORK_POLICY_NAME,
            "namespace": namespace,
            "labels": dict(STORE_LABELS),
        },
        "spec": {
            "podSelector": {
                "matchLabels": {names.MANAGED_BY_LABEL: names.MANAGED_BY},
                "matchExpressions": [
                    {"key": names.COMPONENT_LABEL, "operator": "In", "values": components}
                ],
            },
            "policyTypes": ["Egress"],
            "egress": egress.outward(store.egress) if store.url is not None else [],
        },
    }


def claim(namespace: str, store: Store) -> Object:
    """The PersistentVolumeClaim of the namespace's store."""
    spec: Object = {
        "accessModes": [str(mode) for mode in store.access_modes],
        "resources": {"requests": {"storage": store.size}},
    }
    if store.storage_class_name is not None:
        spec["storageClassName"] = store.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": names.STORE_NAME,
            "namespace": namespace,
            "labels": dict(STORE_LABELS),
        },
        "spec": spec,
    }


def record_name(key: str) -> str:
    return f"dlagent-artifact-{key[:16]}"


def record(namespace: str, key: str, summary: Summary) -> Object:
    """The ConfigMap that says that an artifact is in the store, and what it is."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": record_name(key),
            "namespace": namespace,
            "labels": {**STORE_LABELS, names.ARTIFACT_LABEL: key[:16]},
        },
        "data": {SUMMARY_FIELD: summary.model_dump_json(by_alias=True, exclude_none=True)},
    }
