"""Whole lives of agents on a fake cluster: build, serve, change, roll out, roll back, go."""

import pytest

from dlagent.api import names
from dlagent.domain.status.model import rejected_revision, serving_revision
from dlagent.reconcile.ports import Object
from tests.unit.reconcile.fake import NAMESPACE, SETTINGS, FakeCluster, agent_object
from tests.unit.reconcile.lives import (
    deployment_of,
    deployments,
    message,
    resolved,
    served,
    status,
    told,
)
from tests.unit.reconcile.operator_process import Operator


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
        "SLOMet": "Unknown",
        "ScalingActive": "Unknown",
        "ScalingLimited": "False",
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


STATES: dict[str, Object] = {"running": {"running": {}}, "ended": {"terminated": {"exitCode": 0}}}


@pytest.mark.parametrize(
    ("speaking", "states"),
    [
        pytest.param("fetch", {"fetch": "running"}, id="while it is fetched"),
        pytest.param(
            "fetch", {"fetch": "ended", "build": "running"}, id="until the next one says something"
        ),
        pytest.param("build", {"fetch": "ended", "build": "running"}, id="while it is built"),
        pytest.param(
            "publish",
            {"fetch": "ended", "build": "ended", "publish": "running"},
            id="while it is published",
        ),
    ],
)
async def test_a_running_build_says_how_far_it_is(
    cluster: FakeCluster, operator: Operator, speaking: str, states: dict[str, str]
) -> None:
    cluster.hold_builds = True
    cluster.speaking = speaking
    cluster.put(agent_object())
    await operator.settle()
    job = cluster.of_kind("Job")[0]
    labels = job["spec"]["template"]["metadata"]["labels"]
    cluster.put(
        {
            "kind": "Pod",
            "metadata": {"name": "b", "labels": labels},
            "status": {
                "phase": "Pending",
                "initContainerStatuses": [
                    {"name": name, "state": STATES[state]} for name, state in states.items()
                ],
            },
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
