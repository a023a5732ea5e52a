"""Situations to decide about, in a few words each; used by the tables of tests/unit/domain."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dlagent.api.conditions import ConditionStatus
from dlagent.api.status import ArtifactStatus, Condition, DLAgentStatus, ServingStatus, SourceStatus
from dlagent.api.types import DLAgentSpec
from dlagent.domain.artifact.request import Target, artifact_key, build_request
from dlagent.domain.artifact.summary import FailureReason, Outcome, Summary, failed
from dlagent.domain.build.artifact import Artifact, artifact_of
from dlagent.domain.build.containers import BUILD, PUBLISH
from dlagent.domain.rollout.revision import revision_id
from dlagent.domain.rollout.seen import Agent, Container, Deployment, Job, Pod, Record, Seen
from tests.unit.reconcile.build_summary import summary

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
URI = "pvc://models/shoes.onnx"
SHA = "a" * 64


def agent(restarted_at: str | None = None, **spec: Any) -> Agent:
    whole = {
        "model": {"source": {"uri": URI}},
        "slo": {"latency": {"thresholdMilliseconds": 50}},
        **spec,
    }
    parsed = DLAgentSpec.model_validate(whole)
    target = Target(triton_version="24.10", accelerator="cpu")
    request = build_request(parsed, parsed.model.source.sha256, target, 1000)
    return Agent(
        namespace="vision",
        name="shoes",
        uid="agent-uid",
        generation=3,
        spec=parsed,
        request=request,
        build_id="b1",
        build_options="options",
        restarted_at=restarted_at,
    )


AGENT = agent()
KEY = artifact_key(AGENT.request, SHA)


def built(key: str = KEY) -> Summary:
    return summary(key, SHA)


def artifact() -> Artifact:
    found = artifact_of(built())
    assert found is not None
    return found


TARGET = revision_id(artifact(), AGENT)
RESOLVED = DLAgentStatus(
    source=SourceStatus(uri=URI, resolved_sha256=SHA), artifact=ArtifactStatus(key=KEY)
)
RECORD = Record("dlagent-artifact", "record-uid", NOW - timedelta(hours=1), built())
OLD = "0ld0000000000000"


def serving(revision: str | None, rejected: str | None = None) -> DLAgentStatus:
    """The status of an agent with an artifact, of which `revision` serves."""
    what = ServingStatus(revision=revision, rejected_revision=rejected)
    return RESOLVED.model_copy(update={"serving": what})


def failing_since(moment: datetime) -> DLAgentStatus:
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = Condition(
        type="ArtifactReady",
        status=ConditionStatus.FALSE,
        reason="SourceUnavailable",
        message="",
        last_transition_time=stamp,
    )
    return DLAgentStatus(conditions=[condition])


def said(result: Summary, container: str | None = None, **pod: Any) -> Pod:
    """A build's pod that ended with this result, told by the container that would."""
    ended = Container(
        container or (BUILD if result.outcome is Outcome.FAILED else PUBLISH),
        exit_code=result.exit_code(),
        exit_message=result.to_message(),
        finished_at=NOW,
    )
    return Pod("build-pod", containers=(ended,), **pod)


def job(**changes: Any) -> Job:
    return replace(
        Job("dlagent-build-b1", "job-uid", "b1", frozenset({"agent-uid"}), "options"), **changes
    )


def failed_job(reason: FailureReason, **changes: Any) -> Job:
    pods = (said(failed(reason, "It says why")),)
    whole = {"failure": "PodFailurePolicy", "finished_at": NOW, "pods": pods, **changes}
    return job(**whole)


def succeeded_job(outcome: Outcome = Outcome.PUBLISHED, **changes: Any) -> Job:
    pods = (said(summary(KEY, SHA, outcome)),)
    return job(**{"succeeded": True, "finished_at": NOW, "pods": pods, **changes})


def deployment(revision: str, ready: int = 1, **changes: Any) -> Deployment:
    pods = tuple(
        Pod(f"{revision[:4]}-{number}", ip="10.0.0.1", ready=True) for number in range(ready)
    )
    base = Deployment(
        name=f"shoes-{revision[:8]}",
        uid=f"uid-{revision[:4]}",
        revision=revision,
        artifact=KEY[:16],
        replicas=1,
        created=NOW - timedelta(seconds=30),
        pods=pods,
    )
    return replace(base, **changes)


def seen(**changes: Any) -> Seen:
    return replace(Seen(agent=AGENT, status=DLAgentStatus()), **changes)
