"""`dlagent local copy`: a file into a claim's volume, as a model's source."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dlagent_local.cluster import Cluster

_DEFAULT_SIZE = "1Gi"


@dataclass(frozen=True)
class PvcUri:
    """`pvc://CLAIM/PATH`: a file in the volume of a claim."""

    claim: str
    path: PurePosixPath

    @classmethod
    def parse(cls, text: str) -> PvcUri:
        """Raises ValueError when it is none, or leads out of the volume."""
        match = re.fullmatch(r"pvc://([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)/(.+)", text)
        if match is None:
            raise ValueError(f"{text!r} is not of the form pvc://CLAIM/PATH")
        path = PurePosixPath(match.group(2))
        if path.is_absolute() or ".." in path.parts or text.endswith("/"):
            raise ValueError(f"{match.group(2)!r} is not the path of a file in the claim")
        return cls(match.group(1), path)


def copy(cluster: Cluster, source: Path, destination: PvcUri, namespace: str) -> Path:
    """Copy a file into a claim's volume, making claim and folders when they are missing.

    The destination is replaced in one step, so that nobody reads half a file. Returns its path.
    """
    kube = cluster.kube()
    claim_path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{destination.claim}"
    if kube.find(claim_path) is None:
        kube.apply(claim_manifest(namespace, destination.claim))
    folder = cluster.volume_path(namespace, destination.claim)
    target = folder / destination.path
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.copying")
    try:
        shutil.copyfile(source, temporary)
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def claim_manifest(namespace: str, name: str) -> dict[str, object]:
    """A claim of the default storage class."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": _DEFAULT_SIZE}},
        },
    }
