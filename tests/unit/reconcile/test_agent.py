"""Whole lives of agents on a fake cluster: build, serve, change, roll out, roll back, go."""

from collections.abc import Callable
from typing import Any

import pytest

from dlagent.api import names
from dlagent.api.conditions import ConditionType
from dlagent.api.status import DLAgentStatus
from dlagent.domain.status.errors import ClusterError
from dlagent.domain.status.model import (
    find_condition,
    parse_status,
    rejected_revision,
    serving_revision,
)
from dlagent.reconcile.ports import Key
from dlagent.runtime.settings import Settings
from tests.unit.reconcile.fake import (
    NAMESPACE,
    SETTINGS,
    Crash,
    FakeCluster,
    Operator,
    agent_object,
    end_state,
)


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def operator(cluster: FakeCluster) -> Operator:
    return Operator(cluster)


def status(cluster: FakeCluster, name: str = "shoes") -> DLAgentStatus:
    return parse_status(cluster.objects["DLAgent", NAMESPACE, name].get("status"))


def told(cluster: FakeCluster, type_: str, name: str = "shoes") -> tuple[str, str] | None:
    found = find_condition(status(cluster, name), ConditionType(type_))
    return (found.status, found.reason) if found is not None else None


def message(cluster: FakeCluster, type_: str = "Ready") -> str:
    found = find_condition(status(cluster), ConditionType(type_))
    assert found is not None
    return found.message


def resolved(cluster: FakeCluster) -> str | None:
    source = status(cluster).source
    return source.resolved_sha256 if source is not None else None


def deployments(cluster: FakeCluster) -> list[str]:
    return sorted(obj["metadata"]["name"] for obj in cluster.of_kind("Deployment"))


def deployment_of(revision: str | None) -> str:
    assert revision is not None
    return f"shoes-{revision[:8]}"


async def served(cluster: FakeCluster, operator: Operator, **spec: Any) -> str:
    """An agent that serves; returns its revision."""
    cluster.put(agent_object(**spec))
    await operator.settle()
    revision = serving_revision(status(cluster))
    assert ("True", "Serving") == told(cluster, "Ready")
    assert revision is not None
    return revision


async def test_a_new_agent_is_built_and_served(cluster: FakeCluster, operator: Operator) -> None:
    revision = await served(cluster, operator)
    assert ("True", "Built") == told(cluster, "ArtifactReady")
    assert ("True", "Serving") == told(cluster, "Available")
    assert None is told(cluster, "Reconciling")
    assert [deployment_of(revision)] == deployments(cluster)
    service = cluster.objects["Service", NAMESPACE, "shoes"]
    assert revision == service["spec"]["selector"][names.REVISION_LABEL]
    assert [] == cluster.of_kind("Job")
    assert "a" * 64 == resolved(cluster)
    assert [("shoes", r) for r in ("BuildStarted", "ArtifactPublished", "RolledOut")] == (
        cluster.events
    )


async def test_all_conditions_are_there_after_the_first_visit(
    cluster: FakeCluster, operator: Operator
) -> None:
    cluster.put(agent_object())
    await operator.visit_all()
    types = {item.type: item.status for item in status(cluster).conditions}
    expected = {
        "Ready": "False",
        "Available": "False",
        "ArtifactReady": "False",
        "Reconciling": "True",
    }
    assert expected == types


async def test_events_alone_bring_an_agent_to_serve(
    cluster: FakeCluster, operator: Operator
) -> None:
    cluster.put(agent_object())
    for _ in range(12):
        await operator.visit_touched()
        cluster.step()
    assert ("True", "Serving") == told(cluster, "Ready")


async def test_the_steady_state_writes_nothing(cluster: FakeCluster, operator: Operator) -> None:
    await served(cluster, operator)
    cluster.requests.clear()
    await operator.visit_all()
    await Operator(cluster).visit_all()  # nor does a new process
    assert [] == cluster.requests


async def test_a_running_build_says_how_far_it_is(cluster: FakeCluster, operator: Operator) -> None:
    cluster.hold_builds = True
    cluster.put(agent_object())
    await operator.settle()
    job = cluster.of_kind("Job")[0]
    labels = job["spec"]["template"]["metadata"]["labels"]
    cluster.put(
        {
            "kind": "Pod",
            "metadata": {"name": "b", "labels": labels},
            "status": {"phase": "Running"},
        }
    )
    await operator.visit_all()
    assert "Building: exporting to ONNX (3 of 7)." == message(cluster)


async def test_with_a_digest_and_a_known_artifact_no_job_starts(
    cluster: FakeCluster, operator: Operator
) -> None:
    source = {"uri": "pvc://models/shoes.onnx", "sha256": "a" * 64}
    await served(cluster, operator, model={"source": source})
    cluster.requests.clear()
    cluster.put(agent_object("boots", model={"source": source}))
    await operator.settle()
    assert ("True", "Cached") == told(cluster, "ArtifactReady", "boots")
    assert ("True", "Serving") == told(cluster, "Ready", "boots")
    assert "apply Job" not in cluster.requests


async def test_two_agents_with_one_source_share_one_job(
    cluster: FakeCluster, operator: Operator
) -> None:
    cluster.put(agent_object("shoes"))
    cluster.put(agent_object("boots"))
    await operator.settle()
    assert 1 == len({r["metadata"]["name"] for r in cluster.of_kind("ConfigMap")})
    assert 1 == cluster.requests.count("apply Job")
    assert [("True", "Serving")] * 2 == [told(cluster, "Ready", n) for n in ("shoes", "boots")]
    assert [] == cluster.of_kind("Job")


async def test_the_other_agent_builds_again_when_the_owner_of_the_job_goes(
    cluster: FakeCluster, operator: Operator
) -> None:
    cluster.hold_builds = True
    cluster.put(agent_object("shoes"))
    await operator.visit_all()
    cluster.put(agent_object("boots"))
    await operator.settle()
    cluster.remove("DLAgent", "shoes")
    cluster.step()
    assert [] == cluster.of_kind("Job")
    cluster.hold_builds = False
    await operator.settle()
    assert ("True", "Serving") == told(cluster, "Ready", "boots")


async def test_a_changed_source_builds_while_the_old_one_serves(
    cluster: FakeCluster, operator: Operator
) -> None:
    first = await served(cluster, operator)
    cluster.hold_builds = True
    cluster.files["pvc://models/new.onnx"] = "b" * 64
    cluster.edit(model={"source": {"uri": "pvc://models/new.onnx"}})
    await operator.settle()
    assert ("True", "ServingPrevious") == told(cluster, "Available")
    assert ("False", "Building") == told(cluster, "Ready")
    assert first == serving_revision(status(cluster))
    cluster.hold_builds = False
    await operator.settle()
    second = serving_revision(status(cluster))
    assert ("True", "Serving") == told(cluster, "Ready")
    assert first != second
    assert [deployment_of(second)] == deployments(cluster)


async def test_an_slo_edit_rolls_out_and_never_builds(
    cluster: FakeCluster, operator: Operator
) -> None:
    first = await served(cluster, operator)
    cluster.requests.clear()
    cluster.edit(slo={"latency": {"thresholdMilliseconds": 5}})
    await operator.settle()
    assert first != serving_revision(status(cluster))
    assert "apply Job" not in cluster.requests


async def test_the_old_revision_goes_only_after_the_service_names_the_new_one(
    cluster: FakeCluster, operator: Operator
) -> None:
    await served(cluster, operator)
    cluster.requests.clear()
    cluster.edit(serving={"maxBatchSize": 4})
    await operator.settle()
    assert cluster.requests.index("apply Service") < cluster.requests.index("delete Deployment")


async def test_a_revision_that_does_not_come_up_is_given_up_and_not_tried_again(
    cluster: FakeCluster, operator: Operator
) -> None:
    first = await served(cluster, operator, rollout={"deadlineSeconds": 10})
    cluster.broken = lambda obj: obj["metadata"]["name"] != deployment_of(first)
    cluster.edit(serving={"maxBatchSize": 4})
    await operator.settle()  # comes to rest while it waits for the deadline
    assert ("False", "ContainerFailed") == told(cluster, "Ready")
    for _ in range(15):
        cluster.step()
    await operator.settle()
    assert ("True", "ContainerFailed") == told(cluster, "Stalled")
    assert ("True", "ServingPrevious") == told(cluster, "Available")
    assert first == serving_revision(status(cluster))
    assert None is not rejected_revision(status(cluster))
    assert [deployment_of(first)] == deployments(cluster)
    assert "within 10 s (spec.rollout.deadlineSeconds)" in message(cluster)
    assert ("shoes", "RolledBack") in cluster.events

    cluster.requests.clear()
    await Operator(cluster).settle()
    assert [] == cluster.requests
    cluster.broken = lambda _obj: False
    cluster.edit(annotations={names.RESTARTED_AT_ANNOTATION: "now"})
    await operator.settle()
    assert ("True", "Serving") == told(cluster, "Ready")
    assert None is rejected_revision(status(cluster))


async def test_a_failed_self_check_is_given_up_at_once(
    cluster: FakeCluster, operator: Operator
) -> None:
    first = await served(cluster, operator)
    cluster.lying = lambda obj: obj["metadata"]["name"] != deployment_of(first)
    cluster.edit(serving={"maxBatchSize": 4})
    await operator.settle()
    assert ("False", "SelfCheckFailed") == told(cluster, "Ready")
    assert ("True", "ServingPrevious") == told(cluster, "Available")
    assert "value 0 is 1 instead of 0.5" in message(cluster)


async def test_back_to_the_spec_that_serves_clears_the_rejection(
    cluster: FakeCluster, operator: Operator
) -> None:
    first = await served(cluster, operator)
    cluster.lying = lambda obj: obj["metadata"]["name"] != deployment_of(first)
    cluster.edit(serving={"maxBatchSize": 4})
    await operator.settle()
    cluster.edit(serving={})
    await operator.settle()
    assert ("True", "Serving") == told(cluster, "Ready")
    assert None is rejected_revision(status(cluster))


async def test_the_first_revision_is_kept_and_says_why_it_is_not_ready(
    cluster: FakeCluster, operator: Operator
) -> None:
    cluster.broken = lambda _obj: True
    cluster.put(agent_object(rollout={"deadlineSeconds": 10}))
    await operator.settle()
    for _ in range(15):
        cluster.step()
    await operator.settle()
    assert ("True", "ContainerFailed") == told(cluster, "Stalled")
    assert ("False", "NoReplicas") == told(cluster, "Available")
    assert 1 == len(deployments(cluster))
    cluster.broken = lambda _obj: False
    await operator.settle()
    assert ("True", "Serving") == told(cluster, "Ready")
    assert None is told(cluster, "Stalled")


async def test_replicas_follow_mode_manual(cluster: FakeCluster, operator: Operator) -> None:
    await served(cluster, operator, scaling={"mode": "Manual"}, replicas=3)
    assert 3 == cluster.of_kind("Deployment")[0]["spec"]["replicas"]
    assert 3 == status(cluster).ready_replicas
    cluster.edit(replicas=2)
    await operator.settle()
    assert 2 == status(cluster).ready_replicas
    assert 1 == len(deployments(cluster))


async def test_a_paused_agent_gets_its_status_and_nothing_else(
    cluster: FakeCluster, operator: Operator
) -> None:
    await served(cluster, operator)
    cluster.requests.clear()
    cluster.edit(paused=True, model={"source": {"uri": "pvc://models/new.onnx"}})
    await operator.settle()
    assert {"status"} == set(cluster.requests)
    assert ("False", "Paused") == told(cluster, "Ready")
    assert ("True", "ServingPrevious") == told(cluster, "Available")


async def test_a_damaged_artifact_is_built_again(cluster: FakeCluster, operator: Operator) -> None:
    first = await served(cluster, operator)
    cluster.time = cluster.time.replace(minute=30)
    cluster.stored.clear()
    for pod in cluster.of_kind("Pod"):
        cluster.remove("Pod", pod["metadata"]["name"])
    await operator.settle()
    assert ("True", "Serving") == told(cluster, "Ready")
    assert first == serving_revision(status(cluster))
    assert 2 == cluster.requests.count("apply Job")


async def test_content_changed_in_place_is_not_followed(
    cluster: FakeCluster, operator: Operator
) -> None:
    await served(cluster, operator)
    cluster.files["pvc://models/shoes.onnx"] = "c" * 64
    cluster.edit(serving={"maxBatchSize": 2})
    await operator.settle()
    assert "a" * 64 == resolved(cluster)
    assert 1 == cluster.requests.count("apply Job")


async def test_a_terminal_failure_waits_for_a_person(
    cluster: FakeCluster, operator: Operator
) -> None:
    cluster.put(
        agent_object(model={"source": {"uri": "pvc://models/shoes.onnx", "sha256": "f" * 64}})
    )
    await operator.settle()
    assert ("True", "DigestMismatch") == told(cluster, "Stalled")
    assert "spec.model.source.sha256" in message(cluster)
    cluster.time = cluster.time.replace(day=2)
    cluster.requests.clear()
    await operator.settle()
    assert [] == cluster.requests
    cluster.files["pvc://models/shoes.onnx"] = "f" * 64
    cluster.edit(annotations={names.RETRY_ANNOTATION: "1"})
    await operator.settle()
    assert ("True", "Serving") == told(cluster, "Ready")


async def test_a_missing_file_is_tried_again_by_itself(
    cluster: FakeCluster, operator: Operator
) -> None:
    content = cluster.files.pop("pvc://models/shoes.onnx")
    cluster.put(agent_object())
    await operator.settle()
    assert ("False", "SourceUnavailable") == told(cluster, "Ready")
    assert None is told(cluster, "Stalled")
    assert 1 == cluster.requests.count("apply Job")
    cluster.files["pvc://models/shoes.onnx"] = content
    cluster.time = cluster.time.replace(minute=20)
    await operator.settle()
    assert ("True", "Serving") == told(cluster, "Ready")


async def test_a_failed_build_leaves_what_serves(cluster: FakeCluster, operator: Operator) -> None:
    first = await served(cluster, operator)
    cluster.edit(model={"source": {"uri": "pvc://models/none.onnx"}})
    await operator.settle()
    assert ("False", "SourceUnavailable") == told(cluster, "ArtifactReady")
    assert ("True", "ServingPrevious") == told(cluster, "Available")
    assert [deployment_of(first)] == deployments(cluster)


async def test_more_memory_for_a_build_that_ran_out_of_it_starts_it_anew(
    cluster: FakeCluster, operator: Operator
) -> None:
    cluster.oom_builds = True
    cluster.put(agent_object())
    await operator.settle()
    assert ("True", "OutOfMemory") == told(cluster, "Stalled")
    assert "spec.build.resources.limits.memory" in message(cluster)
    cluster.oom_builds = False
    cluster.edit(build={"resources": {"limits": {"memory": "9Gi"}}})
    await operator.settle()
    assert ("True", "Serving") == told(cluster, "Ready")


def edited(cluster: FakeCluster, kind: str, change: Callable[[dict[str, Any]], None]) -> None:
    obj = cluster.of_kind(kind)[0]
    change(obj["spec"])
    cluster.put(obj)


DRIFTS: list[tuple[str, Callable[[FakeCluster], None]]] = [
    ("the Service is deleted", lambda c: c.remove("Service", "shoes")),
    ("the headless Service is deleted", lambda c: c.remove("Service", "shoes-pods")),
    ("the disruption budget is deleted", lambda c: c.remove("PodDisruptionBudget", "shoes")),
    ("the policy is deleted", lambda c: c.remove("NetworkPolicy", "shoes")),
    ("the Deployment is deleted", lambda c: c.remove("Deployment", deployments(c)[0])),
    (
        "the Service's selector is emptied",
        lambda c: edited(c, "Service", lambda spec: spec.update(selector={})),
    ),
    (
        "somebody scales the Deployment",
        lambda c: edited(c, "Deployment", lambda spec: spec.update(replicas=7)),
    ),
    (
        "somebody edits the image",
        lambda c: edited(
            c,
            "Deployment",
            lambda spec: spec["template"]["spec"]["containers"][0].update(image="evil"),
        ),
    ),
]


@pytest.mark.parametrize("drift", [row[1] for row in DRIFTS], ids=[row[0] for row in DRIFTS])
async def test_drift_is_put_right(
    cluster: FakeCluster, operator: Operator, drift: Callable[[FakeCluster], None]
) -> None:
    await served(cluster, operator)
    expected = end_state(cluster)
    drift(cluster)
    await operator.settle()
    assert expected == end_state(cluster)
    assert all(
        "evil" != container["image"]
        for obj in cluster.of_kind("Deployment")
        for container in obj["spec"]["template"]["spec"]["containers"]
    )


async def test_other_settings_roll_nothing_by_themselves(
    cluster: FakeCluster, operator: Operator
) -> None:
    await served(cluster, operator)
    cluster.requests.clear()
    changed = SETTINGS.model_copy(
        update={
            "runtimes": {
                name: profile.model_copy(update={"image": "triton:2"})
                for name, profile in SETTINGS.runtimes.items()
            }
        }
    )
    await Operator(cluster, changed).settle()
    assert [] == cluster.requests
    cluster.edit(annotations={names.RESTARTED_AT_ANNOTATION: "now"})
    await Operator(cluster, changed).settle()
    pod = cluster.of_kind("Deployment")[0]["spec"]["template"]["spec"]
    assert "triton:2" == pod["containers"][0]["image"]


async def test_deletion_leaves_the_store_and_nothing_else(
    cluster: FakeCluster, operator: Operator
) -> None:
    await served(cluster, operator)
    cluster.remove("DLAgent", "shoes")
    for _ in range(3):
        cluster.step()
    assert {"PersistentVolumeClaim", "ConfigMap", "NetworkPolicy"} == {
        kind for kind, _, _ in cluster.objects
    }


BAD_SPECS: list[tuple[str, dict[str, Any], str, str]] = [
    ("a spec without a threshold", {"slo": {"latency": {}}}, "InvalidSpec", "thresholdMilli"),
    ("a runtime that is not known", {"serving": {"runtime": "x"}}, "UnknownRuntime", "triton"),
    (
        "a scheme that is not allowed",
        {"model": {"source": {"uri": "s3://b/m.onnx"}}},
        "InvalidSpec",
        "builder.allowedSchemes",
    ),
    ("no spec at all", {"model": None}, "InvalidSpec", "spec.model"),
]


@pytest.mark.parametrize(
    ("spec", "reason", "words"), [row[1:] for row in BAD_SPECS], ids=[row[0] for row in BAD_SPECS]
)
async def test_what_cannot_be_used_is_said_and_what_serves_goes_on(
    cluster: FakeCluster, operator: Operator, spec: dict[str, Any], reason: str, words: str
) -> None:
    await served(cluster, operator)
    before = deployments(cluster)
    cluster.edit(**spec)
    await operator.settle()
    assert ("True", reason) == told(cluster, "Stalled")
    assert ("True", "Serving") == told(cluster, "Available")
    assert words in message(cluster)
    assert before == deployments(cluster)


async def test_what_the_apiserver_refuses_is_told_to_the_user(
    cluster: FakeCluster, operator: Operator
) -> None:
    def refuse(when: str, number: int) -> None:
        if when == "before" and cluster.requests[number] == "apply Deployment":
            raise ClusterError(422, "spec.template.spec.containers[0].env[0].name: Required value")

    cluster.on_write = refuse
    cluster.put(agent_object())
    for _ in range(5):
        await operator.visit_all()
        cluster.step()
    assert ("True", "Built") == told(cluster, "ArtifactReady")
    assert ("False", "WriteRefused") == told(cluster, "Ready")
    assert "env[0].name" in message(cluster)


async def life(cluster: FakeCluster, operate: Callable[[], Any]) -> None:
    """Build, serve, change the source and the size, and give up a bad revision."""
    cluster.put(agent_object(rollout={"deadlineSeconds": 60}))
    await operate()
    cluster.files["pvc://models/new.onnx"] = "b" * 64
    cluster.edit(
        model={"source": {"uri": "pvc://models/new.onnx"}},
        scaling={"mode": "Manual"},
        replicas=2,
    )
    await operate()
    good = serving_revision(status(cluster))
    cluster.lying = lambda obj: obj["metadata"]["name"] != deployment_of(good)
    cluster.edit(serving={"maxBatchSize": 4})
    await operate()


async def fault_free() -> tuple[dict[str, Any], int]:
    cluster = FakeCluster()
    await life(cluster, Operator(cluster).settle)
    return end_state(cluster), len(cluster.requests)


async def test_a_crash_around_any_write_changes_nothing_in_the_end() -> None:
    expected, writes = await fault_free()
    assert 20 < writes < 60
    for number in range(writes):
        for when in ("before", "after"):
            cluster = FakeCluster()
            await life(cluster, crashing(cluster, {(when, number)}))
            assert expected == end_state(cluster), f"crash {when} write {number}"


def crashing(cluster: FakeCluster, crashes: set[tuple[str, int]]) -> Callable[[], Any]:
    """Settles with an operator that dies at these writes and is started again."""
    left = set(crashes)

    def on_write(when: str, number: int) -> None:
        if (when, number) in left:
            left.discard((when, number))
            raise Crash

    cluster.on_write = on_write

    async def operate() -> None:
        while True:
            try:
                await Operator(cluster).settle()
            except Crash:
                continue
            return

    return operate


@pytest.mark.parametrize("code", [None, 409, 422, 429, 500, 503])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_error_at_any_write_changes_nothing_in_the_end(
    when: str, code: int | None
) -> None:
    expected, writes = await fault_free()
    for number in range(writes):
        cluster = FakeCluster()

        def fail(at: str, count: int, number: int = number) -> None:
            if (at, count) == (when, number):
                raise ClusterError(code, "injected")

        cluster.on_write = fail
        await life(cluster, Operator(cluster).settle)
        assert expected == end_state(cluster), f"{code} {when} write {number}"


async def test_an_agent_that_is_gone_or_going_gets_no_visit(
    cluster: FakeCluster, operator: Operator
) -> None:
    assert None is await operator.reconciler.reconcile(Key(NAMESPACE, "nobody"))
    going = agent_object()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.put(going)
    assert None is await operator.reconciler.reconcile(Key(NAMESPACE, "shoes"))
    assert [] == cluster.requests


async def test_an_object_that_a_webhook_changes_is_not_written_for_ever(
    cluster: FakeCluster, operator: Operator
) -> None:
    await served(cluster, operator)
    policy = cluster.objects["NetworkPolicy", NAMESPACE, "shoes"]

    async def apply(obj: dict[str, Any]) -> dict[str, Any]:
        cluster.requests.append("apply")
        return policy  # as before: the webhook undid it

    policy["spec"]["policyTypes"] = ["Ingress"]
    cluster.put(policy)
    cluster.requests.clear()
    cluster.apply = apply  # type: ignore[method-assign]  # the webhook
    for _ in range(3):
        await operator.visit_all()
    assert ["apply"] == cluster.requests


def test_settings_of_the_tests_are_valid() -> None:
    assert isinstance(SETTINGS, Settings)
