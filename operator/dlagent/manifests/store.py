"""A namespace's artifact store: its claim, and the record of each artifact that is in it.

Neither has an owner: they belong to the namespace and stay when agents go.
"""

from dlagent.api import names
from dlagent.domain.artifact.summary import Summary
from dlagent.manifests.common import Object
from dlagent.manifests.settings import Store

_LABELS = {
    names.MANAGED_BY_LABEL: names.MANAGED_BY,
    names.PART_OF_LABEL: "dlagent",
    names.COMPONENT_LABEL: "store",
}
SUMMARY_FIELD = "summary"


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
        "metadata": {"name": names.STORE_NAME, "namespace": namespace, "labels": dict(_LABELS)},
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
            "labels": {**_LABELS, names.ARTIFACT_LABEL: key[:16]},
        },
        "data": {SUMMARY_FIELD: summary.model_dump_json(by_alias=True, exclude_none=True)},
    }
