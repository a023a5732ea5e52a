"""Builds: when one starts, what is waited for, what is recorded, and when it is tried again."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.artifact.summary import FailureReason, Outcome
from dlagent.domain.build.decision import (
    BuildDecision,
    decide_build,
    known_digest,
    outdated_jobs,
)
from dlagent.domain.rollout.decide import decide
from dlagent.domain.rollout.plan import StartBuild, WriteRecord
from dlagent.domain.rollout.seen import Container, Job, Pod, Record, Seen
from tests.unit.domain.rollout.situations import (
    AGENT,
    KEY,
    NOW,
    RECORD,
    RESOLVED,
    SHA,
    URI,
    agent,
    deployment,
    failed_job,
    failing_since,
    job,
    said,
    seen,
    serving,
    succeeded_job,
)
from tests.unit.reconcile.build_summary import summary


def with_digest() -> Seen:
    return seen(agent=agent(model={"source": {"uri": URI, "sha256": SHA}}))


def refused_by_loader(code: int, seconds_after_record: int) -> Seen:
    """An artifact that is recorded, and a loader that ended some time after that."""
    when = RECORD.created + timedelta(seconds=seconds_after_record)
    pod = Pod("p", containers=(Container("load", exit_code=code, finished_at=when),))
    return seen(
        status=RESOLVED, records=(RECORD,), deployments=(deployment("x" * 16, pods=(pod,)),)
    )


def of_another_engine(record: Record) -> Record:
    return replace(record, summary=record.summary.model_copy(update={"engine": "Later"}))


def succeeded_with_another_engine() -> Job:
    """What a builder that is newer than the operator may say."""
    told = summary(KEY, SHA).model_copy(update={"engine": "Later"})
    return replace(job(pods=(said(told),)), succeeded=True, finished_at=NOW)


# A sentence, what is seen, the condition's reason, what is done, what is removed.
TABLE: list[tuple[str, Seen, str, list[str], list[str]]] = [
    (
        "the script of a Python step is not there, so nothing is built",
        seen(agent=replace(AGENT, script_problem="There is none.")),
        "PythonStepUnavailable",
        [],
        [],
    ),
    ("nothing is known, so a build starts", seen(), "Building", ["StartBuild"], []),
    (
        "a digest is given but no artifact recorded, so a build starts",
        with_digest(),
        "Building",
        ["StartBuild"],
        [],
    ),
    (
        "a digest is given and its artifact recorded, so nothing is built",
        replace(with_digest(), records=(RECORD,)),
        "Cached",
        [],
        [],
    ),
    (
        "the digest was resolved and its artifact is recorded",
        seen(status=RESOLVED, records=(RECORD,)),
        "Cached",
        [],
        [],
    ),
    (
        "the record names an engine that nobody here knows: it is built again",
        seen(status=RESOLVED, records=(of_another_engine(RECORD),)),
        "ArtifactDamaged",
        [],
        ["ConfigMap"],
    ),
    (
        "the Job made what nobody here can serve: nothing is recorded",
        seen(jobs=(succeeded_with_another_engine(),)),
        "Building",
        [],
        [],
    ),
    ("a Job runs", seen(jobs=(job(),)), "Building", [], []),
    ("the Job of the last try is going", seen(jobs=(job(deleting=True),)), "Building", [], []),
    (
        "the Job succeeded: its result is recorded",
        seen(jobs=(succeeded_job(),)),
        "Built",
        ["WriteRecord"],
        [],
    ),
    (
        "the Job found the artifact in the store",
        seen(jobs=(succeeded_job(Outcome.CACHED),)),
        "Cached",
        ["WriteRecord"],
        [],
    ),
    (
        "the result is recorded and in the status: the Job goes",
        seen(status=RESOLVED, records=(RECORD,), jobs=(succeeded_job(),)),
        "Built",
        [],
        ["Job"],
    ),
    (
        "the pod told of its artifact, and its Job will have succeeded in a moment",
        seen(jobs=(succeeded_job(succeeded=False, finished_at=None),)),
        "Built",
        ["WriteRecord"],
        [],
    ),
    (
        "the artifact is recorded, and its Job stays until it has ended",
        seen(status=RESOLVED, records=(RECORD,), jobs=(succeeded_job(succeeded=False),)),
        "Built",
        [],
        [],
    ),
    (
        "another agent has not read the Job's result yet: it stays",
        seen(status=RESOLVED, records=(RECORD,), jobs=(succeeded_job(awaited=True),)),
        "Built",
        [],
        [],
    ),
    (
        "the Job succeeded but its pod is not seen yet",
        seen(jobs=(succeeded_job(pods=()),)),
        "Building",
        [],
        [],
    ),
    (
        "the Job succeeded long ago and its pod is gone: another Job will find the artifact",
        seen(jobs=(succeeded_job(pods=(), finished_at=NOW - timedelta(minutes=2)),)),
        "Building",
        [],
        ["Job"],
    ),
    (
        "a terminal failure is left for a person",
        seen(jobs=(failed_job(FailureReason.INVALID_MODEL),)),
        "InvalidModel",
        [],
        [],
    ),
    (
        "the pod told of a terminal failure, and its Job will fail in a moment",
        seen(jobs=(failed_job(FailureReason.GATE_FAILED, failure=None, finished_at=None),)),
        "GateFailed",
        [],
        [],
    ),
    (
        "a transient failure waits at first",
        seen(jobs=(failed_job(FailureReason.SOURCE_UNAVAILABLE),)),
        "SourceUnavailable",
        [],
        [],
    ),
    (
        "a transient failure is tried again after a minute",
        seen(
            jobs=(
                failed_job(
                    FailureReason.SOURCE_UNAVAILABLE, finished_at=NOW - timedelta(seconds=61)
                ),
            )
        ),
        "SourceUnavailable",
        [],
        ["Job"],
    ),
    (
        "spec.build changed, so a failed Job is replaced",
        seen(jobs=(failed_job(FailureReason.INVALID_MODEL, options="others"),)),
        "Building",
        [],
        ["Job"],
    ),
    (
        "spec.build changed, so a waiting Job is replaced",
        seen(jobs=(job(options="others"),)),
        "Building",
        [],
        ["Job"],
    ),
    (
        "another agent's Job is not replaced for our spec.build",
        seen(jobs=(job(options="others", owners=frozenset({"another"})),)),
        "Building",
        [],
        [],
    ),
    (
        "a loader found the artifact damaged: its record goes",
        refused_by_loader(21, 60),
        "ArtifactDamaged",
        [],
        ["ConfigMap"],
    ),
    (
        "a loader found the artifact missing: its record goes",
        refused_by_loader(20, 60),
        "ArtifactDamaged",
        [],
        ["ConfigMap"],
    ),
    (
        "a damaged artifact's Job goes before its record, or it would be recorded again",
        replace(refused_by_loader(21, 60), jobs=(succeeded_job(),)),
        "ArtifactDamaged",
        [],
        ["Job", "ConfigMap"],
    ),
    (
        "a loader refused what was there before the artifact was built again",
        refused_by_loader(21, -60),
        "Cached",
        [],
        [],
    ),
    ("a loader without space blames no artifact", refused_by_loader(22, 60), "Cached", [], []),
]


@pytest.mark.parametrize(
    ("situation", "reason", "actions", "deletions"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_build(situation: Seen, reason: str, actions: list[str], deletions: list[str]) -> None:
    decision = decide_build(situation, NOW)
    assert reason == decision.reason
    assert actions == [type(action).__name__ for action in decision.actions]
    assert deletions == [deletion.kind for deletion in decision.deletions]
    assert (decision.artifact is not None) == (reason in ("Built", "Cached"))


def test_it_is_said_why_an_artifact_for_an_accelerator_is_no_engine() -> None:
    told = RECORD.summary.model_copy(update={"no_tensorrt": "an input has a free axis"})
    record = replace(RECORD, summary=told)

    decision = decide_build(seen(status=RESOLVED, records=(record,)), NOW)

    assert "Cached" == decision.reason
    assert decision.message.endswith("It is no engine of TensorRT: an input has a free axis.")


def test_a_terminal_failure_is_for_a_person_before_its_job_has_failed_too() -> None:
    told = failed_job(FailureReason.GATE_FAILED)
    soon = decide_build(seen(jobs=(replace(told, failure=None, finished_at=None),)), NOW)
    assert soon.stalled
    assert decide_build(seen(jobs=(told,)), NOW) == soon


def test_a_resolved_digest_is_insisted_on_when_the_artifact_is_built_again() -> None:
    decision = decide_build(seen(status=RESOLVED), NOW)
    (start,) = decision.actions
    assert isinstance(start, StartBuild)
    assert SHA == start.request.source_sha256


def test_what_is_recorded_is_what_the_newest_pod_said() -> None:
    old = failed_job(FailureReason.INTERNAL).pods
    decision = decide_build(seen(jobs=(succeeded_job(pods=old + succeeded_job().pods),)), NOW)
    (write,) = decision.actions
    assert isinstance(write, WriteRecord)
    assert (KEY, KEY) == (write.key, write.summary.key)


def test_the_reason_stays_built_after_the_job_is_gone() -> None:
    first = decide(seen(jobs=(succeeded_job(),)), NOW)
    again = decide_build(seen(status=first.status, records=(RECORD,)), NOW)
    assert "Built" == again.reason


KNOWN = [
    ("the spec names it", with_digest(), SHA),
    ("nothing was resolved yet", seen(), None),
    ("it was resolved for just this build", seen(status=RESOLVED), SHA),
    (
        "it was resolved for another URI",
        seen(status=RESOLVED, agent=agent(model={"source": {"uri": "pvc://models/b.onnx"}})),
        None,
    ),
    (
        "it was resolved before perceive changed",
        seen(status=RESOLVED, agent=agent(perceive=[{"scale": {"multiply": "2"}}])),
        None,
    ),
    (
        "a change of the SLO leaves it known",
        seen(status=RESOLVED, agent=agent(slo={"latency": {"thresholdMilliseconds": 9}})),
        SHA,
    ),
]


@pytest.mark.parametrize(
    ("situation", "expected"), [row[1:] for row in KNOWN], ids=[row[0] for row in KNOWN]
)
def test_known_digest(situation: Seen, expected: str | None) -> None:
    assert expected == known_digest(situation.agent, situation.status)


def retried_after(failing_for: timedelta) -> BuildDecision:
    status = failing_since(NOW - failing_for)
    return decide_build(seen(status=status, jobs=(failed_job(FailureReason.NO_SPACE),)), NOW)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30)))
def test_tries_come_ever_more_rarely_but_at_least_every_hour(failing_for: timedelta) -> None:
    wait = retried_after(failing_for).requeue_after
    assert wait is not None
    assert 60 <= wait <= 3600
    assert wait <= max(60, failing_for.total_seconds() + 1)


def test_a_time_in_the_status_that_somebody_edited_counts_as_none() -> None:
    status = failing_since(NOW)
    (edited,) = status.conditions
    edited = edited.model_copy(update={"last_transition_time": "2026-01-01T00:00:00"})
    status = status.model_copy(update={"conditions": [edited]})
    failing = seen(status=status, jobs=(failed_job(FailureReason.NO_SPACE),))
    assert 60 == decide_build(failing, NOW).requeue_after


def test_only_this_agents_outdated_jobs_that_nobody_waits_for_are_removed() -> None:
    jobs = (
        job(name="current"),
        job(name="mine", build_id="b0"),
        job(name="going", build_id="b0", deleting=True),
        job(name="awaited", build_id="b0", awaited=True),
        job(name="anothers", build_id="b0", owners=frozenset({"another"})),
    )
    assert ["mine"] == [item.name for item in outdated_jobs(seen(jobs=jobs))]


def test_an_artifact_that_serves_is_known_whatever_the_service_says() -> None:
    situation = seen(status=serving("x"), records=(RECORD,))
    assert AGENT == situation.agent
    assert decide_build(situation, NOW).artifact is not None


@pytest.mark.parametrize(
    "field",
    ["spec.build", "spec.serving.runtime", "spec.serving.accelerator", "Secret", "settings"],
)
def test_a_build_that_starts_anew_says_all_that_may_have_changed(field: str) -> None:
    decision = decide_build(seen(jobs=(job(options="others"),)), NOW)

    assert field in decision.message
    (deletion,) = decision.deletions
    assert field in deletion.why
