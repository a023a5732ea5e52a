"""Roll-outs: what is created, switched and removed, and that what serves is never lost."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.artifact.summary import FailureReason
from dlagent.domain.rollout.decide import decide, pods_to_check
from dlagent.domain.rollout.decision import RolloutDecision, Stage, decide_rollout
from dlagent.domain.rollout.plan import Delete, PointService, Scale
from dlagent.domain.rollout.seen import Check, Container, Deployment, Pod, Seen
from tests.unit.domain.rollout.situations import (
    NOW,
    OLD,
    RECORD,
    TARGET,
    agent,
    artifact,
    deployment,
    failed_job,
    job,
    seen,
    serving,
)

PASSED = (Check(f"{TARGET[:4]}-0"),)
FAILED = (Check(f"{TARGET[:4]}-0", failure="value 0 is 1 instead of 2"),)
UNREACHABLE = (Check(f"{TARGET[:4]}-0", unreachable=True),)
LONG_AGO = NOW - timedelta(hours=1)


def known(*deployments: Deployment, selected: str | None = None, **changes: object) -> Seen:
    """An agent whose artifact is there, and these revisions of it."""
    base = seen(
        status=serving(selected), records=(RECORD,), deployments=deployments, selected=selected
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields by name, in a test


def crashing(revision: str, **changes: object) -> Deployment:
    container = Container("triton", exit_code=1, exit_message="error: no backend")
    base = deployment(revision, pods=(Pod("p", containers=(container,)),))
    return replace(base, **changes)  # type: ignore[arg-type]  # fields by name, in a test


# A sentence, what is seen, the stage, which revision serves then, actions, deleted revisions.
TABLE: list[tuple[str, Seen, Stage, str | None, list[str], list[str]]] = [
    (
        "the first revision is created",
        known(),
        Stage.COMING,
        None,
        ["EnsureNetwork", "EnsureRevision"],
        [],
    ),
    (
        "the first revision comes up",
        known(deployment(TARGET, ready=0)),
        Stage.COMING,
        None,
        ["EnsureNetwork", "EnsureRevision"],
        [],
    ),
    (
        "the first revision is ready but not checked",
        known(deployment(TARGET)),
        Stage.COMING,
        None,
        ["EnsureNetwork", "EnsureRevision"],
        [],
    ),
    (
        "the first revision passed: the Service names it",
        known(deployment(TARGET), checks=PASSED),
        Stage.SERVES,
        TARGET,
        ["EnsureNetwork", "EnsureRevision", "PointService"],
        [],
    ),
    (
        "it serves, and nothing else is to be done",
        known(deployment(TARGET), selected=TARGET),
        Stage.SERVES,
        TARGET,
        ["EnsureNetwork", "EnsureRevision", "PointService"],
        [],
    ),
    (
        "a new revision is created beside the old",
        known(deployment(OLD), selected=OLD),
        Stage.COMING,
        OLD,
        ["EnsureNetwork", "PointService", "EnsureNetwork", "EnsureRevision"],
        [],
    ),
    (
        "a new revision that nobody answers for waits",
        known(deployment(OLD), deployment(TARGET), selected=OLD, checks=UNREACHABLE),
        Stage.COMING,
        OLD,
        ["EnsureNetwork", "PointService", "EnsureNetwork", "EnsureRevision"],
        [],
    ),
    (
        "a new revision passed: the Service is switched and the old one stays for now",
        known(deployment(OLD), deployment(TARGET), selected=OLD, checks=PASSED),
        Stage.SERVES,
        TARGET,
        ["EnsureNetwork", "EnsureNetwork", "EnsureRevision", "PointService"],
        [],
    ),
    (
        "the Service is seen to name the new revision: the old one goes",
        known(deployment(OLD), deployment(TARGET), selected=TARGET),
        Stage.SERVES,
        TARGET,
        ["EnsureNetwork", "EnsureRevision", "PointService"],
        [OLD],
    ),
    (
        "a new revision that answers wrongly is given up",
        known(deployment(OLD), deployment(TARGET), selected=OLD, checks=FAILED),
        Stage.REJECTED,
        OLD,
        ["EnsureNetwork", "PointService"],
        [TARGET],
    ),
    (
        "a new revision that is too late is given up",
        known(deployment(OLD), crashing(TARGET, created=LONG_AGO), selected=OLD),
        Stage.REJECTED,
        OLD,
        ["EnsureNetwork", "PointService"],
        [TARGET],
    ),
    (
        "a revision that was given up is not tried again",
        known(deployment(OLD), selected=OLD, status=serving(OLD, rejected=TARGET)),
        Stage.REJECTED,
        OLD,
        ["EnsureNetwork", "PointService"],
        [],
    ),
    (
        "what was given up is all there is when the old one was deleted by hand",
        known(status=serving(OLD, rejected=TARGET)),
        Stage.COMING,
        None,
        ["EnsureNetwork", "EnsureRevision"],
        [],
    ),
    (
        "the first revision is kept though it is too late",
        known(crashing(TARGET, created=LONG_AGO)),
        Stage.COMING,
        None,
        ["EnsureNetwork", "EnsureRevision"],
        [],
    ),
    (
        "the first revision is kept though it answers wrongly",
        known(deployment(TARGET), checks=FAILED),
        Stage.COMING,
        None,
        ["EnsureNetwork", "EnsureRevision"],
        [],
    ),
    (
        "a roll-out that another spec has overtaken is removed",
        known(deployment(OLD), deployment("x" * 16), selected=OLD),
        Stage.COMING,
        OLD,
        ["EnsureNetwork", "PointService", "EnsureNetwork", "EnsureRevision"],
        ["x" * 16],
    ),
    (
        "while the artifact is built, the old revision serves and what was coming is removed",
        seen(
            status=serving(OLD),
            deployments=(deployment(OLD), deployment(TARGET)),
            selected=OLD,
            jobs=(job(),),
            agent=agent(perceive=[{"scale": {"multiply": "2"}}]),
        ),
        Stage.UNKNOWN,
        OLD,
        ["EnsureNetwork", "PointService"],
        [TARGET],
    ),
    (
        "a Service that was deleted is made anew for what served",
        known(deployment(TARGET), status=serving(TARGET)),
        Stage.SERVES,
        TARGET,
        ["EnsureNetwork", "EnsureRevision", "PointService"],
        [],
    ),
    (
        "a Service that names nothing we know is put right",
        replace(known(deployment(TARGET), status=serving(TARGET)), selected="nonsense"),
        Stage.SERVES,
        TARGET,
        ["EnsureNetwork", "EnsureRevision", "PointService"],
        [],
    ),
    (
        "a Deployment that is being deleted is waited for",
        known(deployment(TARGET, deleting=True)),
        Stage.COMING,
        None,
        [],
        [],
    ),
]


@pytest.mark.parametrize(
    ("situation", "stage", "serves", "actions", "deleted"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_rollout(
    situation: Seen, stage: Stage, serves: str | None, actions: list[str], deleted: list[str]
) -> None:
    known_artifact = None if stage is Stage.UNKNOWN else artifact()
    decision = decide_rollout(situation, known_artifact, NOW)
    assert stage is decision.stage
    assert serves == decision.serving
    assert actions == [type(action).__name__ for action in decision.actions]
    assert [f"shoes-{name[:8]}" for name in deleted] == [item.name for item in decision.deletions]


def decided(situation: Seen) -> RolloutDecision:
    return decide_rollout(situation, artifact(), NOW)


def test_a_revision_that_is_coming_is_looked_at_again_at_its_deadline() -> None:
    assert 570.0 == decided(known(deployment(TARGET, ready=0))).requeue_after


def test_a_pod_that_gave_no_answer_is_asked_again_soon() -> None:
    assert 1.0 == decided(known(deployment(TARGET), checks=UNREACHABLE)).requeue_after


def test_why_a_revision_was_given_up_is_told_as_long_as_it_is() -> None:
    situation = known(deployment(OLD), deployment(TARGET), selected=OLD, checks=FAILED)
    first = decide(situation, NOW)
    again = decide(replace(situation, status=first.status, checks=()), NOW + timedelta(hours=1))
    assert first.status.conditions == [item.model_copy() for item in again.status.conditions]
    assert () == again.events


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (known(deployment(TARGET, replicas=4), selected=TARGET), 2),
        (known(deployment(TARGET, replicas=2, scaled=False), selected=TARGET), 2),
        (known(deployment(TARGET, replicas=2), selected=TARGET), None),
        (known(deployment(OLD, replicas=1), selected=OLD), 2),
    ],
    ids=["another size", "nobody owns the size", "as wanted", "the old revision as well"],
)
def test_scale(situation: Seen, expected: int | None) -> None:
    manual = agent(scaling={"mode": "Manual"}, replicas=2)
    decision = decided(replace(situation, agent=manual))
    sizes = [action.replicas for action in decision.actions if isinstance(action, Scale)]
    assert ([] if expected is None else [expected]) == sizes


def test_all_pods_of_the_revision_to_come_are_checked_once_enough_are_ready() -> None:
    manual = agent(scaling={"mode": "Manual"}, replicas=2)
    one = known(deployment(TARGET, ready=1), agent=manual)
    two = known(deployment(TARGET, ready=2), agent=manual)
    assert None is pods_to_check(one, NOW)
    wanted = pods_to_check(two, NOW)
    assert wanted is not None
    assert 2 == len(wanted.pods)


@pytest.mark.parametrize(
    "situation",
    [
        known(deployment(TARGET), selected=TARGET),
        known(deployment(TARGET), deployment(OLD), status=serving(OLD, rejected=TARGET)),
        known(deployment(TARGET), agent=agent(paused=True)),
        seen(),
    ],
    ids=["it serves", "it was given up", "the agent is paused", "there is no artifact"],
)
def test_no_pod_is_checked_in_vain(situation: Seen) -> None:
    assert None is pods_to_check(situation, NOW)


def test_a_paused_agent_is_not_acted_for() -> None:
    for situation in (
        seen(agent=agent(paused=True)),
        known(deployment(OLD), selected=OLD, agent=agent(paused=True)),
        seen(agent=agent(paused=True), jobs=(failed_job(FailureReason.NO_SPACE),)),
    ):
        plan = decide(situation, NOW)
        assert () == plan.actions + plan.deletions


@st.composite
def situations(draw: st.DrawFn) -> Seen:
    """Any mix of revisions, checks, rejections and times."""
    revisions = draw(st.sets(st.sampled_from([TARGET, OLD, "x" * 16])))
    deployments = tuple(
        deployment(
            name,
            ready=draw(st.integers(0, 2)),
            created=NOW - timedelta(seconds=draw(st.integers(0, 2000))),
            deleting=draw(st.booleans()),
        )
        for name in sorted(revisions)
    )
    ready = [pod.name for item in deployments if item.revision == TARGET for pod in item.pods]
    checks = tuple(
        draw(st.sampled_from([Check(name), Check(name, "wrong"), Check(name, unreachable=True)]))
        for name in ready
    )
    names = st.sampled_from([None, TARGET, OLD, "x" * 16])
    return seen(
        status=serving(draw(names), rejected=draw(names)),
        records=(RECORD,) if draw(st.booleans()) else (),
        deployments=deployments,
        selected=draw(names),
        checks=draw(st.sampled_from([(), checks])),
        agent=agent(paused=draw(st.booleans())),
    )


@given(situations())
def test_what_serves_is_never_removed_and_the_service_names_only_what_is_there(
    situation: Seen,
) -> None:
    plan = decide(situation, NOW)
    removed = {item.uid for item in plan.deletions if item.kind == "Deployment"}
    selected = situation.deployment(situation.selected)
    if selected is not None and not selected.deleting:
        pointed = [action for action in plan.actions if isinstance(action, PointService)]
        assert selected.uid not in removed or situation.selected not in {
            action.revision for action in pointed
        }
        assert selected.uid not in removed
    for action in plan.actions:
        if isinstance(action, PointService):
            assert situation.deployment(action.revision) is not None


@given(situations())
def test_no_situation_breaks_the_decision_and_all_conditions_are_there(situation: Seen) -> None:
    plan = decide(situation, NOW)
    types = [item.type for item in plan.status.conditions]
    assert ["Ready", "Available", "ArtifactReady"] == types[:3]
    assert len(types) == len(set(types))
    assert not {"Reconciling", "Stalled"} <= set(types)
    assert all(isinstance(item, Delete) for item in plan.deletions)
    assert 3 == plan.status.observed_generation


def left_behind(age: timedelta, deleting: bool = False) -> Seen:
    """The spec went from the target to another revision and back; a pod is ready."""
    made = NOW - timedelta(seconds=1)
    pod = Pod("left", ip="10.0.0.1", ready=True, created=made - age)
    target = deployment(TARGET, created=made, pods=(pod,), deleting=deleting)
    return known(target, deployment(OLD), selected=OLD, checks=(Check("left"),))


@pytest.mark.parametrize(
    "situation",
    [left_behind(timedelta(minutes=1)), left_behind(timedelta(0), deleting=True)],
    ids=["of an earlier Deployment of the name", "of one that is being removed"],
)
def test_a_pod_that_is_about_to_go_proves_nothing(situation: Seen) -> None:
    assert None is pods_to_check(situation, NOW)
    assert Stage.COMING is decided(situation).stage
    assert OLD == decided(situation).serving


def test_apiservers_clocks_may_differ_a_little() -> None:
    assert Stage.SERVES is decided(left_behind(timedelta(seconds=3))).stage
