"""What looks after a namespace's store: the Job of a sweep, the pods of `dlagent artifacts`, and
the ConfigMap in which the last sweep is written down."""

from collections.abc import Sequence
from datetime import datetime

from dlagent.domain.status.model import timestamp
from dlagent.domain.sweep.unused import SweepReport
from dlagent.manifests.common import Object, container_security, pod_security
from dlagent.manifests.settings import Builder, Store
from dlagent.manifests.store import STORE_LABELS, Access, access

SWEEP_NAME = "dlagent-sweep"  # of the Job and of the ConfigMap
STARTED_FIELD, REPORT_FIELD, FAILURE_FIELD = "started", "report", "failure"
CONTAINER = "store"
_DEADLINE_SECONDS = 3600
_RESOURCES = {
    "requests": {"cpu": "50m", "memory": "128Mi"},
    "limits": {"memory": "512Mi"},
}


def job(
    namespace: str, keep: Sequence[str], grace_hours: float, builder: Builder, store: Store
) -> Object:
    """The Job that removes what is unused; it has one try, since the next sweep is another."""
    arguments = ["sweep", "--grace-hours", str(grace_hours)]
    arguments += [f"--keep={key}" for key in keep]
    held = access(namespace, store, read_only=False)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": SWEEP_NAME, "namespace": namespace, "labels": dict(STORE_LABELS)},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": _DEADLINE_SECONDS,
            "template": {
                "metadata": {
                    "labels": dict(STORE_LABELS),
                    "annotations": dict(builder.pod_annotations),
                },
                "spec": pod_spec(arguments, builder, held),
            },
        },
    }


def pod_spec(arguments: Sequence[str], builder: Builder, held: Access) -> Object:
    """A pod that runs `python -m dlagent.store` once with these arguments."""
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "containers": [
            {
                "name": CONTAINER,
                "image": builder.image,
                "imagePullPolicy": builder.image_pull_policy,
                "args": ["python", "-m", "dlagent.store", "--store", held.location, *arguments],
                "resources": _RESOURCES,
                "securityContext": container_security(),
                "terminationMessagePolicy": "FallbackToLogsOnError",
                **held.container,
            }
        ],
        "volumes": held.volumes,
    }


def question(namespace: str, arguments: Sequence[str], builder: Builder, held: Access) -> Object:
    """A pod that answers one question about the store and ends; its name is made up."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "dlagent-store-",
            "namespace": namespace,
            "labels": dict(STORE_LABELS),
            "annotations": dict(builder.pod_annotations),
        },
        "spec": {
            "activeDeadlineSeconds": _DEADLINE_SECONDS,
            **pod_spec(arguments, builder, held),
        },
    }


def outcome(
    namespace: str, started: datetime, report: SweepReport | None, failure: str | None
) -> Object:
    """The ConfigMap that says when the last sweep was, and what it did."""
    data = {STARTED_FIELD: timestamp(started)}
    data[REPORT_FIELD] = report.model_dump_json(by_alias=True) if report is not None else ""
    data[FAILURE_FIELD] = failure or ""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": SWEEP_NAME, "namespace": namespace, "labels": dict(STORE_LABELS)},
        "data": data,
    }
