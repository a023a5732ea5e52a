"""Whether an agent's artifact is there, and what to do about its build.

A known artifact (its record is there) starts no Job. Otherwise the Job of the current build id is
started, waited for, its result recorded; a failed one is tried again where that can help. Read by
dlagent.domain.rollout.decide.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dlagent.api.conditions import ConditionType, Reason
from dlagent.api.status import CandidateStatus, DLAgentStatus
from dlagent.domain.artifact.request import artifact_key
from dlagent.domain.artifact.summary import Outcome
from dlagent.domain.build.artifact import Artifact, artifact_of
from dlagent.domain.build.containers import PUBLISH
from dlagent.domain.build.failure import (
    build_failure,
    build_trouble,
    failed_for_good,
    retry_hint,
)
from dlagent.domain.rollout.plan import Action, Delete, StartBuild, WriteRecord
from dlagent.domain.rollout.seen import Agent, Job, Pod, Record, Seen
from dlagent.domain.status.model import find_condition, is_true, timestamp
from dlagent.domain.status.trouble import LOADER_CORRUPT, LOADER_MISSING

_FIRST_RETRY = timedelta(minutes=1)
_LAST_RETRY = timedelta(hours=1)
_OTHER_OPTIONS = (
    "spec.build, spec.serving.runtime, spec.serving.accelerator, the source's Secret or the"
    " settings changed"
)
PROGRESS_SECONDS = 2.0  # how often a running build is asked how far it is
# How often ConfigMaps with scripts are read: they carry no label to watch them by.
SCRIPT_SECONDS = 30.0


@dataclass(frozen=True)
class BuildDecision:
    """`artifact` is that of the current spec, None until it is there.

    `candidates` are what a build tried of which nothing may serve. `stalled`: nothing will change
    until somebody changes something. `requeue_after` in seconds.
    """

    reason: str
    message: str
    artifact: Artifact | None = None
    candidates: tuple[CandidateStatus, ...] = ()
    stalled: bool = False
    actions: tuple[Action, ...] = ()
    deletions: tuple[Delete, ...] = ()
    requeue_after: float | None = None


def decide_build(seen: Seen, now: datetime) -> BuildDecision:
    if seen.agent.script_problem is not None:
        reason = Reason.PYTHON_STEP_UNAVAILABLE
        return BuildDecision(reason, seen.agent.script_problem, stalled=True)
    digest = known_digest(seen.agent, seen.status)
    record = seen.record(artifact_key(seen.agent.request, digest)) if digest else None
    if record is not None:
        artifact = artifact_of(record.summary)
        if artifact is None or _loader_refused(seen, record):
            return _rebuild(seen, record)
        return _known(seen, artifact)
    job = seen.job()
    if job is None:
        return _start(seen, digest)
    if job.deleting:
        return BuildDecision(Reason.BUILDING, "The Job of the last try is being removed.")
    if (
        job.succeeded or artifact_of(job.result) is not None
    ):  # Kubernetes ends the Job seconds later
        return _succeeded(seen, job, now)
    if job.options != seen.agent.build_options and seen.agent.uid in job.owners:
        return BuildDecision(
            Reason.BUILDING,
            f"The build starts anew: {_OTHER_OPTIONS}.",
            deletions=(_delete_job(job, _OTHER_OPTIONS),),
        )
    if job.failure is not None or failed_for_good(job):
        return _failed(seen, job, now)
    return _running(job)


def known_digest(agent: Agent, status: DLAgentStatus) -> str | None:
    """The source's digest: the spec's, else the one that was resolved for just this build.

    A digest that was resolved before the spec changed is not taken over: it belongs to the
    artifact in the status, whose key the current request must still give.
    """
    if agent.spec.model.source.sha256 is not None:
        return agent.spec.model.source.sha256
    source, artifact = status.source, status.artifact
    if source is None or artifact is None or source.uri != agent.spec.model.source.uri:
        return None
    resolved = source.resolved_sha256
    return resolved if artifact_key(agent.request, resolved) == artifact.key else None


def outdated_jobs(seen: Seen) -> tuple[Delete, ...]:
    """This agent's Jobs for builds that it no longer asks for, unless another agent waits."""
    return tuple(
        _delete_job(job, "the spec asks for another build")
        for job in seen.jobs
        if job.build_id != seen.agent.build_id
        and seen.agent.uid in job.owners
        and not job.deleting
        and not job.awaited
    )


def _known(seen: Seen, artifact: Artifact) -> BuildDecision:
    job = seen.job()
    recorded = seen.status.artifact is not None and seen.status.artifact.key == artifact.key
    deletions: tuple[Delete, ...] = ()
    if job is not None and recorded and _is_over(job) and not job.awaited:
        deletions = (_delete_job(job, "its result is recorded"),)
    built = job is not None and job.result is not None and job.result.outcome is Outcome.PUBLISHED
    before = find_condition(seen.status, ConditionType.ARTIFACT_READY)
    if recorded and before is not None and is_true(before):
        reason = before.reason
    else:
        reason = Reason.BUILT if built else Reason.CACHED
    return BuildDecision(reason, _describe(artifact), artifact, deletions=deletions)


def _describe(artifact: Artifact) -> str:
    kind = f"{artifact.engine}, {artifact.precision}"
    said = f"Artifact {artifact.key[:12]} ({kind}) is in the store."
    if artifact.no_tensorrt is None:
        return said
    return f"{said} It is no engine of TensorRT: {artifact.no_tensorrt}."


def _is_over(job: Job) -> bool:
    return (job.succeeded or job.failure is not None) and not job.deleting


def _start(seen: Seen, digest: str | None) -> BuildDecision:
    # The digest that was resolved once is insisted on: the content must not change silently.
    request = seen.agent.request.model_copy(update={"source_sha256": digest})
    start = StartBuild(seen.agent.build_id, request, "no artifact for the spec is known")
    return BuildDecision(
        Reason.BUILDING,
        "The build is starting.",
        actions=(start,),
        requeue_after=PROGRESS_SECONDS,
    )


def _rebuild(seen: Seen, record: Record) -> BuildDecision:
    """The store does not hold what the record says: forget it, and the next visit builds."""
    job = seen.job()
    why = "the loader found the artifact missing or damaged"
    deletions = [Delete("ConfigMap", record.name, record.uid, why)]
    if job is not None and _is_over(job):
        # First: as long as it is there, its result would be recorded again.
        deletions.insert(0, _delete_job(job, why))
    return BuildDecision(
        Reason.ARTIFACT_DAMAGED,
        f"The store's copy of artifact {record.summary.key or record.name} is missing or damaged;"
        " it is built again.",
        deletions=tuple(deletions),
    )


def _loader_refused(seen: Seen, record: Record) -> bool:
    """A loader has refused the artifact since it was recorded."""
    key = record.summary.key or ""
    pods = (
        pod
        for deployment in seen.deployments
        if deployment.artifact and key.startswith(deployment.artifact)
        for pod in deployment.pods
    )
    return any(_refused_after(pod, record.created) for pod in pods)


def _refused_after(pod: Pod, moment: datetime) -> bool:
    return any(
        container.name == "load"
        and container.exit_code in (LOADER_MISSING, LOADER_CORRUPT)
        and container.finished_at is not None
        and container.finished_at > moment
        for container in pod.containers
    )


def _succeeded(seen: Seen, job: Job, now: datetime) -> BuildDecision:
    result = job.result
    artifact = artifact_of(result)
    if artifact is None or result is None:
        # Its pod went before it was read. The artifact is in the store; a new Job finds it there.
        return _again(
            seen, job, now, Reason.BUILDING, "The build ended, but its result is not known yet."
        )
    built = result.outcome is Outcome.PUBLISHED
    return BuildDecision(
        Reason.BUILT if built else Reason.CACHED,
        _describe(artifact),
        artifact,
        actions=(WriteRecord(artifact.key, result, "the build succeeded"),),
    )


def _failed(seen: Seen, job: Job, now: datetime) -> BuildDecision:
    failure = build_failure(job, seen.agent)
    if failure.terminal:
        tried = tuple(job.result.candidates) if job.result is not None else ()
        message = failure.message + retry_hint(failure)
        return BuildDecision(failure.reason, message, candidates=tried, stalled=True)
    return _again(seen, job, now, failure.reason, failure.message)


def _again(seen: Seen, job: Job, now: datetime, reason: str, message: str) -> BuildDecision:
    """Another try, after as long again as it has been failing: from a minute to an hour."""
    ended = job.finished_at or now
    delay = min(max(ended - _failing_since(seen.status, ended), _FIRST_RETRY), _LAST_RETRY)
    left = (ended + delay - now).total_seconds()
    if left <= 0:
        deletions = (_delete_job(job, f"it is tried again after {reason}"),)
        return BuildDecision(reason, f"{message} It is tried again.", deletions=deletions)
    at = timestamp(ended + delay)
    return BuildDecision(reason, f"{message} It is tried again at {at}.", requeue_after=left)


def _failing_since(status: DLAgentStatus, default: datetime) -> datetime:
    condition = find_condition(status, ConditionType.ARTIFACT_READY)
    if condition is None or is_true(condition):
        return default
    try:
        since = datetime.fromisoformat(condition.last_transition_time)
    except ValueError:
        return default
    return since if since.tzinfo is not None else default


def _running(job: Job) -> BuildDecision:
    trouble = build_trouble(job)
    if trouble is not None:
        return BuildDecision(trouble.reason, trouble.message, requeue_after=PROGRESS_SECONDS)
    return BuildDecision(Reason.BUILDING, _progress(job), requeue_after=PROGRESS_SECONDS)


def _progress(job: Job) -> str:
    last = job.pods[-1].container(PUBLISH) if job.pods else None
    if last is not None and last.exit_code == 0:
        return "The build ended; its result is being recorded."
    if job.progress is not None:
        return f"Building: {job.progress}."
    return "The build runs." if job.begun else "The build is starting."


def _delete_job(job: Job, why: str) -> Delete:
    return Delete("Job", job.name, job.uid, why)
