"""The status of an agent from what was decided about its build and its roll-out.

Pure; read by dlagent.domain.rollout.decide. Each condition's message says what a person can do.
"""

from datetime import datetime

from dlagent.api import names
from dlagent.api.conditions import ConditionType, Reason
from dlagent.api.status import (
    ArtifactStatus,
    CandidateStatus,
    DLAgentStatus,
    ServingStatus,
    SourceStatus,
)
from dlagent.api.types import Slo
from dlagent.domain.build.decision import BuildDecision
from dlagent.domain.rollout.decision import RolloutDecision, Stage
from dlagent.domain.rollout.seen import Seen
from dlagent.domain.rollout.size import required_replicas, wanted_replicas
from dlagent.domain.status.conditions import Finding, carry_over, finding_of
from dlagent.domain.status.model import find_condition
from dlagent.domain.status.scaling import (
    as_before,
    scaling_findings,
    scaling_status,
    slo_status,
)

_PAUSED = "spec.paused is true: nothing is built or rolled out until it is false."
_NOTHING_SERVES = Finding(
    ConditionType.AVAILABLE, False, Reason.NO_REPLICAS, "No revision serves yet."
)

_OF_SCALING = (
    ConditionType.SLO_MET,
    ConditionType.SCALING_ACTIVE,
    ConditionType.SCALING_LIMITED,
)


def decide_status(
    seen: Seen, build: BuildDecision, rollout: RolloutDecision, now: datetime
) -> DLAgentStatus:
    artifact = _artifact_ready(seen, build)
    ready = _ready(seen, artifact, rollout)
    conditions = [ready, _available(seen, rollout), artifact, *scaling_findings(seen)]
    if not (ready.is_true or seen.agent.spec.paused or _wants_none(seen, rollout)):
        stalled = build.stalled or rollout.stalled
        kind = ConditionType.STALLED if stalled else ConditionType.RECONCILING
        conditions.append(Finding(kind, True, ready.reason, ready.message))
    before = seen.status
    agent = seen.agent
    deployment = seen.deployment(rollout.serving or rollout.target)
    return DLAgentStatus(
        observed_generation=agent.generation,
        conditions=carry_over(before.conditions, conditions, agent.generation, now),
        source=_source(seen, build),
        artifact=_artifact(seen, build),
        candidates=_candidates(seen, build),
        serving=_serving(seen, rollout),
        slo=slo_status(seen, _promise(agent.spec.slo)),
        scaling=scaling_status(seen, now),
        replicas=deployment.replicas if deployment is not None else 0,
        ready_replicas=len(deployment.ready_pods) if deployment is not None else 0,
        selector=f"{names.COMPONENT_LABEL}=serving,{names.NAME_LABEL}={agent.name}",
    )


def unusable_status(
    before: DLAgentStatus, generation: int, reason: str, message: str, now: datetime
) -> DLAgentStatus:
    """The status of an agent whose spec or runtime the operator cannot use at all.

    What it says of the revision that serves stays as it was: nothing was touched.
    """
    artifact = Finding(ConditionType.ARTIFACT_READY, False, reason, message)
    return _stopped(before, artifact, generation, reason, message, now)


def refused_status(
    before: DLAgentStatus, planned: DLAgentStatus, message: str, now: datetime
) -> DLAgentStatus:
    """The status where the apiserver took a request amiss: of the plan, what came before that."""
    known = find_condition(planned, ConditionType.ARTIFACT_READY)
    artifact = (
        finding_of(known)
        if known is not None
        else Finding(ConditionType.ARTIFACT_READY, False, Reason.WRITE_REFUSED, message)
    )
    generation = planned.observed_generation or 0
    stopped = _stopped(before, artifact, generation, Reason.WRITE_REFUSED, message, now)
    return stopped.model_copy(update={"source": planned.source, "artifact": planned.artifact})


def _stopped(
    before: DLAgentStatus,
    artifact: Finding,
    generation: int,
    reason: str,
    message: str,
    now: datetime,
) -> DLAgentStatus:
    available = find_condition(before, ConditionType.AVAILABLE)
    conditions = [
        Finding(ConditionType.READY, False, reason, message),
        finding_of(available) if available is not None else _NOTHING_SERVES,
        artifact,
        *(as_before(before, type_) for type_ in _OF_SCALING),
        Finding(ConditionType.STALLED, True, reason, message),
    ]
    carried = carry_over(before.conditions, conditions, generation, now)
    return before.model_copy(update={"observed_generation": generation, "conditions": carried})


def _artifact_ready(seen: Seen, build: BuildDecision) -> Finding:
    if build.artifact is None and build.actions and seen.agent.spec.paused:
        return Finding(ConditionType.ARTIFACT_READY, False, Reason.PAUSED, _PAUSED)
    return Finding(
        ConditionType.ARTIFACT_READY, build.artifact is not None, build.reason, build.message
    )


def _available(seen: Seen, rollout: RolloutDecision) -> Finding:
    deployment = seen.deployment(rollout.serving)
    if rollout.serving is None or deployment is None:
        return _NOTHING_SERVES
    ready = len(deployment.ready_pods)
    name = rollout.serving[:8]
    if ready == 0:
        because = f" {rollout.problem.message}" if rollout.problem is not None else ""
        return Finding(
            ConditionType.AVAILABLE,
            False,
            Reason.NO_REPLICAS,
            f"No pod of revision {name} is ready.{because}",
        )
    current = rollout.stage is Stage.SERVES
    reason = Reason.SERVING if current else Reason.SERVING_PREVIOUS
    kind = "" if current else "The previous "
    message = f"{kind}{'R' if current else 'r'}evision {name} serves."
    return Finding(ConditionType.AVAILABLE, True, reason, message)


def _ready(seen: Seen, artifact: Finding, rollout: RolloutDecision) -> Finding:
    if not artifact.is_true:
        return Finding(ConditionType.READY, False, artifact.reason, artifact.message)
    problem = rollout.problem
    if rollout.stage is Stage.SERVES:
        return _ready_replicas(seen, rollout)
    if seen.agent.spec.paused:
        return Finding(ConditionType.READY, False, Reason.PAUSED, _PAUSED)
    if rollout.stage is Stage.REJECTED or rollout.stalled:
        reason = problem.reason if problem is not None else Reason.ROLLOUT_FAILED
        message = problem.message if problem is not None else ""
        if rollout.serving is not None and rollout.serving != rollout.target:
            still = f" The previous revision {rollout.serving[:8]} serves on."
            message = message if message.endswith(still) else message + still
        return Finding(ConditionType.READY, False, reason, message)
    return _coming_up(seen, rollout)


def _wants_none(seen: Seen, rollout: RolloutDecision) -> bool:
    """Nothing is to serve, and so nothing is being done about it."""
    return rollout.stage is Stage.SERVES and wanted_replicas(seen) == 0


def _ready_replicas(seen: Seen, rollout: RolloutDecision) -> Finding:
    wanted = required_replicas(seen)
    deployment = seen.deployment(rollout.serving)
    ready = len(deployment.ready_pods) if deployment is not None else 0
    if wanted == 0:
        message = "spec.replicas is 0: nothing serves until it is raised."
        return Finding(ConditionType.READY, False, Reason.NO_REPLICAS, message)
    if ready >= wanted:
        revision = (rollout.serving or "")[:8]
        return Finding(
            ConditionType.READY,
            True,
            Reason.SERVING,
            f"Revision {revision} serves; its artifact was verified.",
        )
    problem = rollout.problem
    because = f" {problem.message}" if problem is not None else ""
    reason = problem.reason if problem is not None else Reason.REPLICAS_NOT_READY
    return Finding(
        ConditionType.READY, False, reason, f"{ready} of {wanted} replicas are ready.{because}"
    )


def _coming_up(seen: Seen, rollout: RolloutDecision) -> Finding:
    wanted = wanted_replicas(seen)
    deployment = seen.deployment(rollout.target)
    ready = len(deployment.ready_pods) if deployment is not None else 0
    state = f"Revision {(rollout.target or '')[:8]} comes up: {ready} of {wanted} replicas ready."
    if rollout.problem is not None:
        return Finding(ConditionType.READY, False, rollout.problem.reason, rollout.problem.message)
    return Finding(ConditionType.READY, False, Reason.ROLLING_OUT, state)


def _source(seen: Seen, build: BuildDecision) -> SourceStatus | None:
    if build.artifact is None:
        return seen.status.source
    return SourceStatus(
        uri=seen.agent.spec.model.source.uri, resolved_sha256=build.artifact.source_sha256
    )


def _artifact(seen: Seen, build: BuildDecision) -> ArtifactStatus | None:
    artifact = build.artifact
    if artifact is None:
        return seen.status.artifact
    return ArtifactStatus(
        key=artifact.key,
        engine=artifact.engine,
        precision=artifact.precision,
        accelerator=seen.agent.request.target.hardware(),
        size_bytes=artifact.size_bytes,
        metric=artifact.accuracy.metric if artifact.accuracy else None,
        baseline=artifact.accuracy.baseline if artifact.accuracy else None,
        value=artifact.accuracy.value if artifact.accuracy else None,
        speedup=artifact.speedup,
    )


def _candidates(seen: Seen, build: BuildDecision) -> list[CandidateStatus]:
    """Those of the newest build that has told of any."""
    if build.artifact is not None:
        return list(build.artifact.candidates)
    return list(build.candidates) or seen.status.candidates


def _serving(seen: Seen, rollout: RolloutDecision) -> ServingStatus | None:
    if rollout.serving is None and rollout.rejected is None and seen.status.serving is None:
        return None
    agent = seen.agent
    served = rollout.serving is not None
    return ServingStatus(
        revision=rollout.serving,
        rejected_revision=rollout.rejected,
        url=f"http://{agent.name}.{agent.namespace}.svc:8000" if served else None,
    )


def _promise(slo: Slo) -> str:
    latency = slo.latency
    return f"{latency.objective_percent}% < {latency.threshold_milliseconds}ms"
