"""Events from the difference of two statuses: so a restart of the operator repeats none."""

from dlagent.api.conditions import ConditionStatus, ConditionType, Reason
from dlagent.api.status import Condition, DLAgentStatus
from dlagent.domain.rollout.plan import Event
from dlagent.domain.status.model import find_condition, is_true, rejected_revision, serving_revision

_ORDINARY = {
    Reason.SERVING,
    Reason.BUILT,
    Reason.CACHED,
    Reason.BUILDING,
    Reason.ROLLING_OUT,
    Reason.REPLICAS_NOT_READY,
    Reason.PAUSED,
}

# What somebody should hear of who watches events, as soon as it is so.
_NEWS = (
    (ConditionType.SCALING_ACTIVE, ConditionStatus.FALSE),
    (ConditionType.SCALING_LIMITED, ConditionStatus.TRUE),
    (ConditionType.SLO_MET, ConditionStatus.FALSE),
)
_ORDINARY_NEWS = {Reason.MANUAL, Reason.PAUSED, Reason.AT_MINIMUM}


def decide_events(before: DLAgentStatus, after: DLAgentStatus) -> tuple[Event, ...]:
    events = (
        _build_event(
            find_condition(before, ConditionType.ARTIFACT_READY),
            find_condition(after, ConditionType.ARTIFACT_READY),
        ),
        _rollout_event(before, after),
        _trouble_event(
            find_condition(before, ConditionType.READY), find_condition(after, ConditionType.READY)
        ),
        _scaling_event(before, after),
        *(_new_event(before, after, type_, status) for type_, status in _NEWS),
    )
    return tuple(event for event in events if event is not None)


def _build_event(before: Condition | None, after: Condition | None) -> Event | None:
    if after is None or (before is not None and before.reason == after.reason):
        return None
    if after.reason == Reason.BUILDING:
        return Event("Normal", "BuildStarted", after.message)
    if is_true(after):
        return Event("Normal", "ArtifactPublished", after.message)
    return None


def _rollout_event(before: DLAgentStatus, after: DLAgentStatus) -> Event | None:
    rejected = rejected_revision(after)
    if rejected is not None and rejected != rejected_revision(before):
        ready = find_condition(after, ConditionType.READY)
        return Event("Warning", "RolledBack", ready.message if ready is not None else rejected)
    revision = serving_revision(after)
    if revision is not None and revision != serving_revision(before):
        return Event("Normal", "RolledOut", f"Revision {revision[:8]} serves.")
    return None


def _trouble_event(before: Condition | None, after: Condition | None) -> Event | None:
    """What keeps the agent from being ready, when that is new and nothing that passes by itself."""
    if after is None or is_true(after) or after.reason in _ORDINARY:
        return None
    if before is not None and before.reason == after.reason:
        return None
    return Event("Warning", after.reason, after.message)


def _scaling_event(before: DLAgentStatus, after: DLAgentStatus) -> Event | None:
    """The number of replicas, or in mode Advise the advice, is another one."""
    if before.scaling is None or after.scaling is None:
        return None
    old, new = before.scaling.desired, after.scaling.desired
    if old is None or new is None or old == new:
        return None
    active = find_condition(after, ConditionType.SCALING_ACTIVE)
    if active is not None and active.reason == Reason.ADVISE:
        reason = "ScalingAdvised"
    else:
        reason = "ScaledUp" if new > old else "ScaledDown"
    return Event("Normal", reason, f"{old} -> {new}: {after.scaling.message}")


def _new_event(
    before: DLAgentStatus, after: DLAgentStatus, type_: ConditionType, status: ConditionStatus
) -> Event | None:
    """A condition that has just become what somebody should hear of."""
    now, then = find_condition(after, type_), find_condition(before, type_)
    if now is None or now.status is not status or now.reason in _ORDINARY_NEWS:
        return None
    if then is None or then.reason == now.reason:
        return None
    if type_ is ConditionType.SCALING_ACTIVE and then.status is ConditionStatus.UNKNOWN:
        return None  # its first pods are not measured yet
    return Event("Warning", now.reason, now.message)
