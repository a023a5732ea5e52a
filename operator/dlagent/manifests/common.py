"""Pieces that all manifests share: owners, labels, security contexts, placement of pods."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlagent.api import names
from dlagent.api.types import GROUP, KIND, VERSION, PodPlacement, Resources

Object = dict[str, Any]

USER_ID = 65532  # "nonroot" of distroless images; all our containers run as it


@dataclass(frozen=True)
class Owner:
    """The DLAgent that an object belongs to; with it the object is garbage-collected."""

    namespace: str
    name: str
    uid: str


def owned_metadata(owner: Owner, name: str, labels: Mapping[str, str]) -> Object:
    """Metadata of an object that goes when its agent goes."""
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": dict(labels),
        "ownerReferences": [
            {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": KIND,
                "name": owner.name,
                "uid": owner.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }


def serving_selector(agent: str) -> dict[str, str]:
    """Labels that all serving pods of an agent have, and no other pod has."""
    return {names.COMPONENT_LABEL: "serving", names.NAME_LABEL: agent}


def serving_labels(agent: str) -> dict[str, str]:
    """Labels of all that serves an agent."""
    return {
        **serving_selector(agent),
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.PART_OF_LABEL: "dlagent",
    }


def pod_security() -> Object:
    """Pod-level security context of Pod Security "restricted"."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        "runAsGroup": USER_ID,
        "fsGroup": USER_ID,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Object:
    """Container-level security context of Pod Security "restricted", with a read-only root."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def resources(wanted: Resources) -> Object:
    return wanted.model_dump(by_alias=True, exclude_none=True)


def placement(wanted: PodPlacement) -> Object:
    """The fields of a pod's spec that say where it may run, as far as they are given."""
    return wanted.model_dump(
        by_alias=True,
        exclude_none=True,
        include={
            "node_selector",
            "tolerations",
            "priority_class_name",
            "runtime_class_name",
            "image_pull_secrets",
        },
    )
