"""Events from the difference of two statuses: so a restart of the operator repeats none."""

from dlagent.api.conditions import ConditionType, Reason
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
