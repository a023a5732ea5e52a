"""Which revision serves, which one is to come, and what to create, switch and remove for it.

The revision that serves is never touched before the next one has proved itself. Read by
dlagent.domain.rollout.decide; `to_check` by dlagent.reconcile.gather.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from dlagent.api.conditions import ConditionType, Reason
from dlagent.domain.build.artifact import Artifact
from dlagent.domain.rollout.plan import (
    Action,
    Delete,
    EnsureNetwork,
    EnsureRevision,
    PointService,
    Scale,
)
from dlagent.domain.rollout.revision import revision_id
from dlagent.domain.rollout.seen import Deployment, Pod, Seen
from dlagent.domain.rollout.size import living_deployment, wanted_replicas
from dlagent.domain.status.model import find_condition, rejected_revision
from dlagent.domain.status.trouble import Trouble, first_trouble

_CHECK_AGAIN_SECONDS = 1.0  # a pod that is ready but gave no answer
_CLOCKS_DIFFER = timedelta(seconds=5)  # those of apiservers, which date what they create
_FAILED_CHECK_SECONDS = 30.0  # the first revision, which is never given up


class Stage(Enum):
    """Where the revision that the spec asks for is."""

    UNKNOWN = "its artifact is not there"
    SERVES = "it serves"
    COMING = "it comes up"
    REJECTED = "it was given up"


@dataclass(frozen=True)
class RolloutDecision:
    """`serving` and `rejected` as they are once the actions are done; `problem` of the target."""

    stage: Stage
    target: str | None
    serving: str | None
    rejected: str | None = None
    problem: Trouble | None = None
    stalled: bool = False
    actions: tuple[Action, ...] = ()
    deletions: tuple[Delete, ...] = ()
    requeue_after: float | None = None


def living_revision(seen: Seen) -> str | None:
    """The revision whose pods answer."""
    deployment = living_deployment(seen)
    return deployment.revision if deployment is not None else None


def to_check(seen: Seen, artifact: Artifact) -> tuple[Pod, ...]:
    """The pods that must pass the self-check now: all of the target, once enough are ready."""
    target = revision_id(artifact, seen.agent)
    serving = living_revision(seen)
    if seen.agent.spec.paused or target == serving or _is_rejected(seen, target, serving):
        return ()
    deployment = seen.deployment(target)
    if deployment is None or deployment.deleting:
        return ()
    pods = _own_ready(deployment)
    return pods if len(pods) >= wanted_replicas(seen) else ()


def _own_ready(deployment: Deployment) -> tuple[Pod, ...]:
    """Ready pods, but for those that a Deployment of the same name left and that soon go.

    A spec that goes from A to B and back may find them still up: they must prove nothing.
    """
    oldest = deployment.created - _CLOCKS_DIFFER
    return tuple(p for p in deployment.ready_pods if p.created is None or p.created >= oldest)


def _is_rejected(seen: Seen, target: str, serving: str | None) -> bool:
    # With nothing to fall back to, a revision that was given up is the best there is.
    return serving is not None and rejected_revision(seen.status) == target


def decide_rollout(seen: Seen, artifact: Artifact | None, now: datetime) -> RolloutDecision:
    serving = living_revision(seen)
    if artifact is None:
        return _without_artifact(seen, serving)
    target = revision_id(artifact, seen.agent)
    if _is_rejected(seen, target, serving):
        return _keep_rejected(seen, target, serving)
    if target == serving:
        return _steady(seen, target, artifact)
    return _coming(seen, target, serving, artifact, now)


def _without_artifact(seen: Seen, serving: str | None) -> RolloutDecision:
    """What serves goes on; what was coming up is for a spec that is gone, or has a bad copy."""
    return RolloutDecision(
        Stage.UNKNOWN,
        target=None,
        serving=serving,
        rejected=rejected_revision(seen.status),
        actions=_keep(seen, serving),
        deletions=_remove_all_but(seen, serving) if serving is not None else (),
    )


def _keep_rejected(seen: Seen, target: str, serving: str | None) -> RolloutDecision:
    told = find_condition(seen.status, ConditionType.STALLED)
    if told is not None and f"Revision {target[:8]} " in told.message:
        problem = Trouble(told.reason, told.message)
    else:
        problem = Trouble(
            Reason.ROLLOUT_FAILED,
            f"Revision {target[:8]} was given up before. Change the spec, or set the annotation"
            " dlagent.io/restartedAt to roll out anew.",
        )
    return RolloutDecision(
        Stage.REJECTED,
        target,
        serving,
        rejected=target,
        problem=problem,
        stalled=True,
        actions=_keep(seen, serving),
        deletions=_remove_all_but(seen, serving),
    )


def _steady(seen: Seen, target: str, artifact: Artifact) -> RolloutDecision:
    deployment = seen.deployment(target)
    pods = deployment.pods if deployment is not None else ()
    enough = deployment is not None and len(deployment.ready_pods) >= wanted_replicas(seen)
    # The Service is seen to name this revision before anything else is removed.
    switched = seen.selected == target
    return RolloutDecision(
        Stage.SERVES,
        target,
        serving=target,
        problem=None if enough else first_trouble(pods, "spec.serving"),
        actions=(
            *_up(seen, target, artifact, "the spec asks for it"),
            PointService(target, "it serves"),
        ),
        deletions=_remove_all_but(seen, target) if switched else (),
    )


def _coming(
    seen: Seen, target: str, serving: str | None, artifact: Artifact, now: datetime
) -> RolloutDecision:
    actions = (
        *_keep(seen, serving),
        *_up(seen, target, artifact, "the spec asks for it"),
    )
    deployment = seen.deployment(target)
    failure = next((check.failure for check in seen.checks if check.failure is not None), None)
    if failure is not None:
        return _give_up(seen, target, serving, actions, _wrong_answer(target, failure))
    if deployment is not None and _proved(seen, deployment):
        staying = (action for action in actions if not isinstance(action, PointService))
        switch = PointService(target, "its pods are ready and passed the self-check")
        return RolloutDecision(Stage.SERVES, target, serving=target, actions=(*staying, switch))
    problem = first_trouble(deployment.pods, "spec.serving") if deployment is not None else None
    left = _seconds_left(seen, deployment, now)
    if left is not None and left <= 0:
        return _give_up(seen, target, serving, actions, _too_late(seen, target, problem))
    return RolloutDecision(
        Stage.COMING,
        target,
        serving,
        rejected=None,
        problem=problem,
        actions=actions,
        deletions=_remove_all_but(seen, serving, target),
        requeue_after=_CHECK_AGAIN_SECONDS if seen.checks else left,
    )


def _proved(seen: Seen, deployment: Deployment) -> bool:
    passed = {check.pod for check in seen.checks if check.passed}
    ready = {pod.name for pod in _own_ready(deployment)}
    return not deployment.deleting and len(ready) >= wanted_replicas(seen) and ready <= passed


def _seconds_left(seen: Seen, deployment: Deployment | None, now: datetime) -> float | None:
    if deployment is None:
        return None
    deadline = deployment.created + timedelta(seconds=seen.agent.spec.rollout.deadline_seconds)
    return (deadline - now).total_seconds()


def _wrong_answer(target: str, failure: str) -> Trouble:
    return Trouble(
        Reason.SELF_CHECK_FAILED,
        f"Revision {target[:8]} does not compute what the build computed: {failure}. Change the"
        " spec, or set the annotation dlagent.io/restartedAt to roll out anew.",
    )


def _too_late(seen: Seen, target: str, problem: Trouble | None) -> Trouble:
    seconds = seen.agent.spec.rollout.deadline_seconds
    cause = problem.message if problem is not None else "Its pods did not get ready."
    return Trouble(
        problem.reason if problem is not None else Reason.ROLLOUT_FAILED,
        f"Revision {target[:8]} did not come up within {seconds} s"
        f" (spec.rollout.deadlineSeconds). {cause}",
    )


def _give_up(
    seen: Seen,
    target: str,
    serving: str | None,
    actions: tuple[Action, ...],
    problem: Trouble,
) -> RolloutDecision:
    """Back to what serves; with nothing to fall back to the revision stays and may yet come up."""
    if serving is None:
        return RolloutDecision(
            Stage.COMING,
            target,
            None,
            problem=problem,
            stalled=True,
            actions=actions,
            deletions=_remove_all_but(seen, target),
            requeue_after=_FAILED_CHECK_SECONDS,
        )
    return RolloutDecision(
        Stage.REJECTED,
        target,
        serving,
        rejected=target,
        problem=problem,
        stalled=True,
        actions=_keep(seen, serving),
        deletions=_remove_all_but(seen, serving),
    )


def _up(seen: Seen, target: str, artifact: Artifact, why: str) -> tuple[Action, ...]:
    """The target's Deployment is there, of the size wanted."""
    deployment = seen.deployment(target)
    if deployment is not None and deployment.deleting:
        return ()  # it is made anew once it is gone
    replicas = wanted_replicas(seen)
    ensure = EnsureRevision(target, artifact, replicas, why)
    return (EnsureNetwork(), ensure, *_resize(deployment, replicas))


def _keep(seen: Seen, serving: str | None) -> tuple[Action, ...]:
    """What serves goes on serving, of the size wanted; its template is left as it is."""
    if serving is None:
        return ()
    replicas = wanted_replicas(seen)
    return (
        EnsureNetwork(),
        *_resize(seen.deployment(serving), replicas),
        PointService(serving, "it serves"),
    )


def _resize(deployment: Deployment | None, replicas: int) -> tuple[Action, ...]:
    if deployment is None or (deployment.scaled and deployment.replicas == replicas):
        return ()
    why = f"{replicas} wanted, {deployment.replicas} asked for so far"
    return (Scale(deployment.name, deployment.uid, replicas, why),)


def _remove_all_but(seen: Seen, *kept: str | None) -> tuple[Delete, ...]:
    return tuple(
        Delete("Deployment", item.name, item.uid, f"revision {item.revision[:8]} is not wanted")
        for item in seen.deployments
        if item.revision not in kept and not item.deleting
    )
