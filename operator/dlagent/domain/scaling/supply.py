"""What each serving pod is worth to the load. Called by dlagent.reconcile.scaling."""

from collections.abc import Iterable

from dlagent.domain.rollout.seen import Pod
from dlagent.domain.scaling.signals import PodSeen, Supply
from dlagent.domain.status.trouble import pod_trouble

_OVERDUE_STARTS = 3  # a pod that takes so much longer than others is not on its way
_SHORTEST_OVERDUE_SECONDS = 60.0


def supply(pods: Iterable[Pod], now: float, pod_start_seconds: float) -> tuple[PodSeen, ...]:
    """The pods as the scaler sees them; `now` in Unix seconds."""
    overdue = max(_SHORTEST_OVERDUE_SECONDS, _OVERDUE_STARTS * pod_start_seconds)
    return tuple(_pod_seen(pod, now, overdue) for pod in pods)


def _pod_seen(pod: Pod, now: float, overdue_seconds: float) -> PodSeen:
    created = pod.created.timestamp() if pod.created is not None else 0.0
    ready_since = pod.ready_since.timestamp() if pod.ready_since is not None else None
    return PodSeen(pod.name, _worth(pod, now - created > overdue_seconds), created, ready_since)


def _worth(pod: Pod, overdue: bool) -> Supply:
    if pod.deleting:
        return Supply.LEAVING
    if pod.ready:
        return Supply.READY
    if pod.unschedulable is not None:
        return Supply.UNSCHEDULABLE
    stuck = overdue or pod_trouble(pod, "spec.serving") is not None
    return Supply.STUCK if stuck else Supply.STARTING
