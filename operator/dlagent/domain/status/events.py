"""Events from the difference of two statuses: so a restart of the operator repeats none."""

from dlagent.domain.rollout.plan import Event
from dlagent.domain.status.model import AgentStatus, Condition, Reason

_ORDINARY = {
    Reason.SERVING,
    Reason.BUILT,
    Reason.CACHED,
    Reason.BUILDING,
    Reason.ROLLING_OUT,
    Reason.REPLICAS_NOT_READY,
    Reason.PAUSED,
}


def decide_events(before: AgentStatus, after: AgentStatus) -> tuple[Event, ...]:
    events = (
        _build_event(before.condition("ArtifactReady"), after.condition("ArtifactReady")),
        _rollout_event(before, after),
        _trouble_event(before.condition("Ready"), after.condition("Ready")),
    )
    return tuple(event for event in events if event is not None)


def _build_event(before: Condition | None, after: Condition | None) -> Event | None:
    if after is None or (before is not None and before.reason == after.reason):
        return None
    if after.reason == Reason.BUILDING:
        return Event("Normal", "BuildStarted", after.message)
    if after.status == "True":
        return Event("Normal", "ArtifactPublished", after.message)
    return None


def _rollout_event(before: AgentStatus, after: AgentStatus) -> Event | None:
    rejected = after.rejected_revision
    if rejected is not None and rejected != before.rejected_revision:
        ready = after.condition("Ready")
        return Event("Warning", "RolledBack", ready.message if ready is not None else rejected)
    revision = after.serving_revision
    if revision is not None and revision != before.serving_revision:
        return Event("Normal", "RolledOut", f"Revision {revision[:8]} serves.")
    return None


def _trouble_event(before: Condition | None, after: Condition | None) -> Event | None:
    """What keeps the agent from being ready, when that is new and nothing that passes by itself."""
    if after is None or after.status == "True" or after.reason in _ORDINARY:
        return None
    if before is not None and before.reason == after.reason:
        return None
    return Event("Warning", after.reason, after.message)
