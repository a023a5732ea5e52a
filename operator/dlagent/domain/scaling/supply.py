"""What each pod is worth to the load. Called by dlagent.reconcile.scaling."""

from collections.abc import Iterable, Mapping

from dlagent.domain.rollout.seen import Pod
from dlagent.domain.scaling.births import BEFORE
from dlagent.domain.scaling.signals import PodSeen, Supply
from dlagent.domain.status.trouble import pod_trouble

_OVERDUE_STARTS = 3  # a pod that takes so much longer than others is not on its way
_SHORTEST_OVERDUE_SECONDS = 60.0


def supply(
    pods: Iterable[Pod],
    revision: str,
    counted_since: Mapping[str, float],
    now: float,
    pod_start_seconds: float,
) -> tuple[PodSeen, ...]:
    """The agent's pods as the scaler sees them, without those that have ended for good.

    `revision` serves; `counted_since` is what `births` says; `now` is in Unix seconds.
    """
    overdue = max(_SHORTEST_OVERDUE_SECONDS, _OVERDUE_STARTS * pod_start_seconds)
    return tuple(
        PodSeen(
            name=pod.name,
            supply=_worth(pod, now - _unready_since(pod) > overdue),
            created=pod.created.timestamp() if pod.created is not None else 0.0,
            ready_since=pod.ready_since.timestamp() if pod.ready_since is not None else None,
            counted_since=counted_since.get(pod.name, BEFORE),
            serving=pod.revision == revision,
        )
        for pod in pods
        if not pod.ended
    )


def _unready_since(pod: Pod) -> float:
    """One that was ready before has as long as a new one to be so again."""
    since = pod.unready_since or pod.created
    return since.timestamp() if since is not None else 0.0


def _worth(pod: Pod, overdue: bool) -> Supply:
    if pod.deleting:
        return Supply.LEAVING
    if pod.ready:
        return Supply.READY
    if pod.unschedulable is not None:
        return Supply.UNSCHEDULABLE
    stuck = overdue or pod_trouble(pod, "spec.serving") is not None
    return Supply.STUCK if stuck else Supply.STARTING
