"""One agent: what was seen, and the time, to a plan. Pure; called by dlagent.reconcile.agent."""

from dataclasses import dataclass, replace
from datetime import datetime

from dlagent.domain.artifact.python_steps import script_references
from dlagent.domain.artifact.selfcheck import SelfCheck
from dlagent.domain.build.decision import (
    SCRIPT_SECONDS,
    BuildDecision,
    decide_build,
    outdated_jobs,
)
from dlagent.domain.rollout.decision import RolloutDecision, decide_rollout, to_check
from dlagent.domain.rollout.plan import Action, Plan
from dlagent.domain.rollout.seen import Pod, Seen
from dlagent.domain.status.decision import decide_status
from dlagent.domain.status.events import decide_events
from dlagent.domain.status.model import rejected_revision


def decide(seen: Seen, now: datetime) -> Plan:
    """What to do in this visit; a paused agent gets its status and nothing else."""
    build = decide_build(seen, now)
    rollout = decide_rollout(seen, build.artifact, now)
    if seen.agent.spec.paused:
        rollout = _as_it_is(seen, rollout)
    status = decide_status(seen, build, rollout, now)
    events = decide_events(seen.status, status)
    if seen.agent.spec.paused:
        return Plan(status, events=events)
    return Plan(
        status=status,
        actions=_once((*build.actions, *rollout.actions)),
        deletions=(*build.deletions, *outdated_jobs(seen), *rollout.deletions),
        events=events,
        requeue_after=_soonest(seen, build, rollout),
    )


def _once(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    return tuple(action for place, action in enumerate(actions) if action not in actions[:place])


def _as_it_is(seen: Seen, rollout: RolloutDecision) -> RolloutDecision:
    """Nothing is given up or switched while the agent is paused."""
    return replace(rollout, rejected=rejected_revision(seen.status), stalled=False)


def _soonest(seen: Seen, build: BuildDecision, rollout: RolloutDecision) -> float | None:
    scripts = SCRIPT_SECONDS if script_references(seen.agent.spec) else None
    waits = (build.requeue_after, rollout.requeue_after, scripts)
    return min((wait for wait in waits if wait is not None), default=None)


@dataclass(frozen=True)
class PodsToCheck:
    """Pods that must give the golden output before requests are sent to them."""

    pods: tuple[Pod, ...]
    check: SelfCheck


def pods_to_check(seen: Seen, now: datetime) -> PodsToCheck | None:
    """What `decide` will want to know next; None where no self-check is due."""
    artifact = decide_build(seen, now).artifact
    if artifact is None:
        return None
    pods = to_check(seen, artifact)
    return PodsToCheck(pods, artifact.self_check) if pods else None
