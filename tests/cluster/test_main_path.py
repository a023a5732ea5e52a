"""From a model file to a right answer on the real parts, and every change after it."""

import pytest

from harness import KubectlError, eventually, steady_load
from models import scaling_model, write
from rooms import Room

ROW = [1.0, 2.0, 3.0, 4.0]


def test_a_model_file_becomes_a_right_answer(room: Room) -> None:
    digest = write(room.models, "model.onnx", scaling_model(2))
    agent = room.agent()

    agent.apply(room.spec())
    status = agent.wait_ready()["status"]

    assert [2.0, 4.0, 6.0, 8.0] == agent.infer([ROW])["y"]
    assert digest == status["source"]["resolvedSHA256"]
    assert "ONNXRuntime" == status["artifact"]["engine"]
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    assert {"Ready": "True", "Available": "True", "ArtifactReady": "True"}.items() <= (
        conditions.items()
    )
    assert {"SLOMet", "ScalingActive", "ScalingLimited"} <= conditions.keys()
    header, row = room.kubectl("get", "dla").splitlines()
    assert "NAME READY REASON ARTIFACT PRECISION REPLICAS SLO SLOMET AGE" == " ".join(
        header.split()
    )
    assert "agent True Serving Built FP32 1 99% < 100ms Unknown" == " ".join(row.split()[:10])
    wide = room.kubectl("get", "dla", "-o", "wide")
    assert "ONNXRuntime" in wide
    assert status["serving"]["url"] in wide
    events = {event["reason"] for event in room.kubectl.items("events")}
    assert {"BuildStarted", "ArtifactPublished", "RolledOut"} <= events


def test_perceive_and_act_run_inside_the_served_model(room: Room) -> None:
    write(room.models, "model.onnx", scaling_model(1))
    agent = room.agent()

    agent.apply(room.spec(perceive=[{"scale": {"multiply": "0.5"}}], act=[{"topK": {"k": 2}}]))
    agent.wait_ready()

    answer = agent.infer([ROW])
    assert [2.0, 1.5] in answer.values()
    assert [3, 2] in answer.values()


def test_a_new_slo_is_a_rollout_and_never_a_build(room: Room) -> None:
    write(room.models, "model.onnx", scaling_model(2))
    agent = room.agent()
    agent.apply(room.spec())
    before = agent.wait_ready()["status"]

    agent.apply(
        room.spec(slo={"latency": {"thresholdMilliseconds": 5}}, serving={"maxBatchSize": 3})
    )
    after = agent.wait_ready()["status"]

    assert before["artifact"]["key"] == after["artifact"]["key"]
    assert before["serving"]["revision"] != after["serving"]["revision"]
    started = [e for e in room.kubectl.items("events") if e["reason"] == "BuildStarted"]
    assert 1 == len(started)


def test_a_changed_source_builds_while_the_old_one_serves_and_no_request_fails(room: Room) -> None:
    write(room.models, "v1.onnx", scaling_model(2))
    write(room.models, "v2.onnx", scaling_model(3))
    agent = room.agent()
    agent.apply(room.spec("v1.onnx"))
    agent.wait_ready()

    with steady_load(agent, [ROW]) as load:
        agent.apply(room.spec("v2.onnx"))
        agent.wait_for("Available", "True", "ServingPrevious")
        agent.wait_ready()
        eventually(
            lambda: agent.infer([ROW])["y"],
            lambda answer: answer == [3.0, 6.0, 9.0, 12.0],
            what="the new model answers",
        )
        eventually(
            lambda: len(agent.serving_pods()), lambda pods: pods == 1, what="the old pod is gone"
        )

    assert [] == load.failures
    assert load.answered > 50


def test_the_number_of_replicas_follows_the_scale_subresource_in_mode_manual_only(
    room: Room,
) -> None:
    write(room.models, "model.onnx", scaling_model(2))
    agent = room.agent()
    agent.apply(room.spec())
    agent.wait_ready()

    with pytest.raises(KubectlError, match=r"scaling\.mode: Manual"):
        room.kubectl("scale", "dlagent", agent.name, "--replicas=2")

    agent.apply(room.spec(scaling={"mode": "Manual"}) | {"replicas": 1})
    agent.wait_ready()
    room.kubectl("scale", "dlagent", agent.name, "--replicas=2")
    eventually(
        lambda: agent.get()["status"].get("readyReplicas"), lambda n: n == 2, what="two replicas"
    )
    agent.wait_ready()
    room.kubectl("scale", "dlagent", agent.name, "--replicas=1")
    eventually(lambda: len(agent.serving_pods()), lambda n: n == 1, what="one replica")


def test_two_agents_with_one_source_share_one_build_and_one_artifact(room: Room) -> None:
    digest = write(room.models, "model.onnx", scaling_model(2))
    agents = [room.agent("first"), room.agent("second")]

    for agent in agents:
        agent.apply(room.spec(sha256=digest))
    keys = {agent.wait_ready()["status"]["artifact"]["key"] for agent in agents}

    assert 1 == len(keys)
    pods_of_jobs = [
        event
        for event in room.kubectl.items("events")
        if event["reason"] == "SuccessfulCreate" and event["involvedObject"]["kind"] == "Job"
    ]
    assert 1 == len(pods_of_jobs)
    room.kubectl("delete", "dlagent", "first")
    assert [2.0, 4.0, 6.0, 8.0] == agents[1].infer([ROW])["y"]


def test_a_known_key_starts_no_job(room: Room) -> None:
    digest = write(room.models, "model.onnx", scaling_model(2))
    first = room.agent("first")
    first.apply(room.spec(sha256=digest))
    first.wait_ready()
    room.kubectl("delete", "dlagent", "first")

    again = room.agent("again")
    again.apply(room.spec(sha256=digest))
    again.wait_for("ArtifactReady", "True", "Cached")
    again.wait_ready()

    about_again = [
        e["reason"] for e in room.kubectl.items("events") if e["involvedObject"]["name"] == "again"
    ]
    assert "BuildStarted" not in about_again


def test_deletion_leaves_nothing_but_the_namespaces_store(room: Room) -> None:
    write(room.models, "model.onnx", scaling_model(2))
    agent = room.agent()
    agent.apply(room.spec())
    agent.wait_ready()

    room.kubectl("delete", "dlagent", agent.name)

    kinds = "deployments,replicasets,pods,services,jobs,poddisruptionbudgets,networkpolicies"
    eventually(
        lambda: [f"{o['kind']}/{o['metadata']['name']}" for o in room.kubectl.items(kinds)],
        lambda left: left == ["NetworkPolicy/dlagent-build"],
        what="all children are gone",
    )
    accounts = [o["metadata"]["name"] for o in room.kubectl.items("serviceaccounts")]
    assert ["default"] == accounts
    claims = {o["metadata"]["name"] for o in room.kubectl.items("pvc")}
    assert {"models", "dlagent-artifacts"} == claims
