"""Kubernetes objects, as the cache has them, to the small values that decisions are made of.

Pure. Nothing here may fail on an object that somebody else has edited: what cannot be read is
taken as absent.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from dlagent.api import names
from dlagent.api.types import KIND
from dlagent.domain.artifact.summary import parse_summary
from dlagent.domain.rollout.seen import Container, Deployment, Job, Pod, Record
from dlagent.manifests.build import OPTIONS_ANNOTATION
from dlagent.manifests.deployment import SCALED_BY_ANNOTATION, deployment_name
from dlagent.manifests.store import SUMMARY_FIELD
from dlagent.manifests.sweep import STARTED_FIELD
from dlagent.reconcile.ports import Object

_EPOCH = datetime.fromtimestamp(0, UTC)


def owners(obj: Object) -> frozenset[str]:
    """The uids of the DLAgents that own an object."""
    references = obj["metadata"].get("ownerReferences") or []
    return frozenset(ref["uid"] for ref in references if ref.get("kind") == KIND)


def belongs_to(obj: Object, uid: str) -> bool:
    """False only for what an earlier agent of the same name left, which is being collected."""
    found = owners(obj)
    return not found or uid in found


def revision_of(deployment: Object) -> str:
    """By its selector, which nobody can change: one with an edited label may serve all the same."""
    selector = _part(_part(deployment, "spec"), "selector")
    return str(_part(selector, "matchLabels").get(names.REVISION_LABEL, ""))


def is_revision(deployment: Object, agent: str) -> bool:
    """It has the name of its revision. What has not is a copy that somebody made."""
    named = deployment_name(agent, revision_of(deployment))
    return bool(deployment["metadata"]["name"] == named)


def is_controlled_by(obj: Object, owner: Object) -> bool:
    references = obj["metadata"].get("ownerReferences") or []
    return any(ref.get("uid") == owner["metadata"]["uid"] for ref in references)


def is_agents(obj: Object, agent: str) -> bool:
    """The operator made it for the agent of that name, be it an earlier one of the name.

    By its owner; where somebody took that away by its label, or, where it was read past the cache,
    by who wrote its fields. Whatever else has the name by chance is not the operator's to change.
    """
    metadata = obj["metadata"]
    references = metadata.get("ownerReferences") or []
    named = [ref.get("name") for ref in references if ref.get("kind") == KIND]
    if named:
        return agent in named
    labelled = (metadata.get("labels") or {}).get(names.NAME_LABEL) == agent
    fields = metadata.get("managedFields") or []
    return labelled or any(item.get("manager") == names.FIELD_MANAGER for item in fields)


def annotation(obj: Object, name: str) -> str | None:
    value = (obj["metadata"].get("annotations") or {}).get(name)
    return str(value) if value is not None else None


def is_deleting(obj: Object) -> bool:
    return obj["metadata"].get("deletionTimestamp") is not None


def moment(text: object) -> datetime | None:
    """A time with its zone; without one it could not be compared with any other."""
    try:
        found = datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def created(obj: Object) -> datetime:
    """When an object was made; long ago where that cannot be read."""
    return moment(obj["metadata"].get("creationTimestamp")) or _EPOCH


def _condition(obj: Object, type_: str, status: str = "True") -> Object:
    """The condition while it has that status, else an empty one."""
    for item in (obj.get("status") or {}).get("conditions") or []:
        if item.get("type") == type_ and item.get("status") == status:
            return dict(item)
    return {}


def pods(objects: Iterable[Object]) -> tuple[Pod, ...]:
    """In the order of their age, the oldest first."""
    ordered = sorted(objects, key=lambda obj: (created(obj), obj["metadata"]["name"]))
    return tuple(pod(obj) for obj in ordered)


def pod(obj: Object) -> Pod:
    status = obj.get("status") or {}
    phase = status.get("phase")
    ready, unready = _condition(obj, "Ready"), _condition(obj, "Ready", "False")
    statuses = [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]
    return Pod(
        name=obj["metadata"]["name"],
        ip=status.get("podIP"),
        ready=bool(ready),
        deleting=is_deleting(obj),
        created=created(obj),
        ready_since=moment(ready.get("lastTransitionTime")),
        unready_since=moment(unready.get("lastTransitionTime")),
        revision=(obj["metadata"].get("labels") or {}).get(names.REVISION_LABEL, ""),
        ended=phase in ("Failed", "Succeeded"),
        failure=status.get("reason") if phase == "Failed" else None,
        failure_message=status.get("message") if phase == "Failed" else None,
        unschedulable=_unschedulable(status),
        containers=tuple(_container(item) for item in statuses),
    )


def _unschedulable(status: dict[str, Any]) -> str | None:
    for item in status.get("conditions") or []:
        if item.get("type") == "PodScheduled" and item.get("reason") == "Unschedulable":
            return str(item.get("message") or "no node fits")
    return None


def _container(status: dict[str, Any]) -> Container:
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    return Container(
        name=status.get("name", ""),
        image=status.get("image", ""),
        running=state.get("running") is not None,
        waiting_reason=waiting.get("reason"),
        waiting_message=waiting.get("message"),
        exit_code=ended.get("exitCode"),
        exit_reason=ended.get("reason"),
        exit_message=ended.get("message"),
        finished_at=moment(ended.get("finishedAt")),
    )


def job(obj: Object, its_pods: tuple[Pod, ...]) -> Job:
    complete, failed = _condition(obj, "Complete"), _condition(obj, "Failed")
    return Job(
        name=obj["metadata"]["name"],
        uid=obj["metadata"]["uid"],
        build_id=build_of(obj),
        owners=owners(obj),
        options=annotation(obj, OPTIONS_ANNOTATION),
        deleting=is_deleting(obj),
        succeeded=bool(complete),
        failure=(failed.get("reason") or "Failed") if failed else None,
        failure_message=failed.get("message"),
        finished_at=moment((complete or failed).get("lastTransitionTime")),
        pods=its_pods,
    )


def build_of(obj: Object) -> str:
    return str((obj["metadata"].get("labels") or {}).get(names.BUILD_LABEL, ""))


def has_succeeded(obj: Object) -> bool:
    return bool(_condition(obj, "Complete"))


def is_unfinished(obj: Object) -> bool:
    """A Job that runs, or whose result may not have been taken over yet."""
    return not _condition(obj, "Failed")


def last_sweep(obj: Object | None) -> datetime | None:
    """When the last sweep of a namespace's store began, by the ConfigMap that says so."""
    return moment(_part(obj, "data").get(STARTED_FIELD))


def record(obj: Object | None) -> Record | None:
    if obj is None or is_deleting(obj):
        return None
    summary = parse_summary((obj.get("data") or {}).get(SUMMARY_FIELD, ""))
    if summary is None:
        return None
    return Record(obj["metadata"]["name"], obj["metadata"]["uid"], created(obj), summary)


def deployment(obj: Object, its_pods: tuple[Pod, ...]) -> Deployment:
    labels = obj["metadata"].get("labels") or {}
    return Deployment(
        name=obj["metadata"]["name"],
        uid=obj["metadata"]["uid"],
        revision=revision_of(obj),
        artifact=labels.get(names.ARTIFACT_LABEL, ""),
        replicas=(obj.get("spec") or {}).get("replicas", 1),
        created=created(obj),
        scaled=annotation(obj, SCALED_BY_ANNOTATION) is not None,
        deleting=is_deleting(obj),
        pods=its_pods,
    )


def told_revision(agent: Object) -> str | None:
    """The revision that the status of a DLAgent says serves."""
    revision = _part(_part(agent, "status"), "serving").get("revision")
    return str(revision) if revision is not None else None


def told_replicas(agent: Object | None) -> tuple[int | None, str | None]:
    """What the status of a DLAgent says was decided last: how many, and in which mode."""
    scaling = _part(_part(agent, "status"), "scaling")
    desired = scaling.get("desired")
    return desired if isinstance(desired, int) else None, scaling.get("mode")


def replicas(deployment: Object) -> int:
    """How many pods a Deployment is to have."""
    return int(_part(deployment, "spec").get("replicas", 1))


def _part(obj: Object | None, name: str) -> Object:
    value = (obj or {}).get(name)
    return value if isinstance(value, dict) else {}


def selected_revision(service: Object | None) -> str | None:
    selector = ((service or {}).get("spec") or {}).get("selector") or {}
    value = selector.get(names.REVISION_LABEL)
    return str(value) if value is not None else None
