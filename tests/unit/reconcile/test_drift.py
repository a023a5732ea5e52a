"""What others change is put right; what cannot be done is said and leaves alone what serves."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from dlagent.domain.status.errors import ClusterError
from tests.unit.reconcile.fake import NAMESPACE, FakeCluster, agent_object
from tests.unit.reconcile.lives import (
    deployments,
    message,
    served,
    told,
)
from tests.unit.reconcile.operator_process import Operator, end_state


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


@pytest.mark.parametrize("kind", ["ServiceAccount", "NetworkPolicy", "Service"])
async def test_what_only_has_the_agents_name_is_never_written(
    cluster: FakeCluster, operator: Operator, kind: str
) -> None:
    foreign = cluster.put({"kind": kind, "metadata": {"name": "default"}, "theirs": True})
    before = copy.deepcopy(foreign)
    cluster.put(agent_object("default"))
    await operator.settle()
    assert before == cluster.objects[kind, NAMESPACE, "default"]
    assert ("False", "WriteRefused") == told(cluster, "Ready", "default")
    cluster.remove(kind, "default")
    await operator.settle()
    assert ("True", "Serving") == told(cluster, "Ready", "default")


@pytest.mark.parametrize(
    "label",
    [
        pytest.param("dlagent.io/revision", id="the revision"),
        pytest.param("dlagent.io/name", id="the agent"),
        pytest.param("app.kubernetes.io/component", id="the component"),
    ],
)
async def test_a_label_that_somebody_edits_does_not_stop_what_serves(
    cluster: FakeCluster, operator: Operator, label: str
) -> None:
    await served(cluster, operator)
    expected = end_state(cluster)
    deployment = cluster.of_kind("Deployment")[0]
    deployment["metadata"]["labels"] = deployment["metadata"]["labels"] | {label: "edited"}
    cluster.put(deployment)
    cluster.requests.clear()
    await operator.settle()
    assert "delete Deployment" not in cluster.requests
    assert expected == end_state(cluster)


async def test_a_copy_that_somebody_made_of_a_deployment_is_theirs(
    cluster: FakeCluster, operator: Operator
) -> None:
    await served(cluster, operator, scaling={"mode": "Manual"}, replicas=1)
    (name,) = deployments(cluster)
    own = cluster.objects["Deployment", NAMESPACE, name]
    metadata = {"name": "a-copy", "labels": own["metadata"]["labels"]}
    theirs = cluster.put(
        {"kind": "Deployment", "metadata": metadata, "spec": copy.deepcopy(own["spec"])}
    )
    before = copy.deepcopy(theirs)
    cluster.edit(replicas=2)
    await operator.settle()
    assert 2 == cluster.objects["Deployment", NAMESPACE, name]["spec"]["replicas"]
    cluster.edit(serving={"maxBatchSize": 4})
    await operator.settle()
    assert name not in deployments(cluster)
    assert before == cluster.objects["Deployment", NAMESPACE, "a-copy"]


async def test_two_agents_do_not_fight_for_a_name(cluster: FakeCluster, operator: Operator) -> None:
    await served(cluster, operator)
    cluster.put(agent_object("shoes-pods"))  # shoes has a Service of this name
    await operator.settle()
    assert ("True", "Serving") == told(cluster, "Ready")
    assert ("False", "WriteRefused") == told(cluster, "Ready", "shoes-pods")


async def test_a_refused_deletion_is_told_and_the_status_comes_to_rest(
    cluster: FakeCluster, operator: Operator
) -> None:
    def refuse(when: str, number: int) -> None:
        if when == "before" and cluster.requests[number] == "delete Deployment":
            raise ClusterError(403, "a policy forbids it")

    await served(cluster, operator)
    cluster.on_write = refuse
    cluster.edit(serving={"maxBatchSize": 4})
    for _ in range(10):
        await operator.visit_all()
        cluster.step()
    cluster.requests.clear()
    for _ in range(3):
        await operator.visit_all()
    assert ["delete Deployment"] * 3 == cluster.requests
    assert ("shoes", "WriteRefused") in cluster.events
    assert ("True", "Serving") == told(cluster, "Ready")
