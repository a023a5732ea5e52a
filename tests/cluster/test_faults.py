"""Faults on the real parts. After each the agent reaches what it asks for (P1), keeps answering
where it answered before (P7), and leaves no orphans (P3)."""

from pathlib import Path

import pytest

from harness import DEADLINE_SECONDS, Agent, KubectlError, eventually, steady_load
from models import scaling_model, write
from rooms import OperatorUnderTest, Room, claim

ROW = [1.0, 2.0, 3.0, 4.0]
DOUBLED = [2.0, 4.0, 6.0, 8.0]
TRIPLED = [3.0, 6.0, 9.0, 12.0]


def ready_agent(room: Room, file: str = "model.onnx", factor: float = 2) -> Agent:
    write(room.models, file, scaling_model(factor))
    agent = room.agent()
    agent.apply(room.spec(file))
    agent.wait_ready()
    return agent


@pytest.mark.disruptive
def test_the_operator_killed_during_a_build(room: Room, operator: OperatorUnderTest) -> None:
    write(room.models, "model.onnx", scaling_model(2))
    agent = room.agent()
    agent.apply(room.spec())
    eventually(lambda: room.kubectl.items("jobs"), what="a build Job")

    operator.kill()

    agent.wait_ready()
    assert DOUBLED == agent.infer([ROW])["y"]
    builds = [e for e in room.kubectl.items("events") if e["reason"] == "ArtifactPublished"]
    assert builds, "the publication was told of"


@pytest.mark.disruptive
def test_the_operator_killed_during_a_rollout(room: Room, operator: OperatorUnderTest) -> None:
    agent = ready_agent(room, "v1.onnx")
    write(room.models, "v2.onnx", scaling_model(3))

    with steady_load(agent, [ROW]) as load:
        agent.apply(room.spec("v2.onnx"))
        eventually(
            lambda: len(room.kubectl.items("deployments")), lambda n: n == 2, what="both revisions"
        )
        operator.kill()
        agent.wait_ready()
        eventually(
            lambda: len(room.kubectl.items("deployments")), lambda n: n == 1, what="one revision"
        )
        eventually(lambda: len(agent.serving_pods()), lambda n: n == 1, what="one pod")

    assert [] == load.failures
    assert TRIPLED == agent.infer([ROW])["y"]


def test_a_killed_triton_comes_back(room: Room) -> None:
    agent = ready_agent(room)
    pod = agent.serving_pods()[0]["metadata"]["name"]

    room.kubectl("delete", "pod", pod, "--grace-period=0", "--force")

    eventually(
        lambda: [p["metadata"]["name"] for p in agent.serving_pods()],
        lambda names: names != [] and pod not in names,
        what="another pod",
    )
    agent.wait_ready()
    eventually(lambda: agent.infer([ROW])["y"], lambda y: y == DOUBLED, what="the right answer")


@pytest.mark.disruptive
def test_an_apiserver_that_restarts(room: Room) -> None:
    agent = ready_agent(room, "v1.onnx")
    write(room.models, "v2.onnx", scaling_model(3))

    with steady_load(agent, [ROW]) as load:
        room.cluster.restart("kube-apiserver")
    assert [] == load.failures, "serving does not need the apiserver"

    def change() -> bool:
        agent.apply(room.spec("v2.onnx"))
        return True

    eventually(change, what="the apiserver answers again")
    agent.wait_ready()
    eventually(lambda: agent.infer([ROW])["y"], lambda y: y == TRIPLED, what="the new answer")


def test_a_source_that_is_gone_leaves_the_last_good_revision_serving(room: Room) -> None:
    agent = ready_agent(room)

    agent.apply(room.spec("gone.onnx"))

    condition = agent.wait_for("ArtifactReady", "False", "SourceUnavailable")
    assert "gone.onnx" in condition["message"]
    assert "ServingPrevious" == agent.condition("Available")["reason"]
    assert DOUBLED == agent.infer([ROW])["y"]

    write(room.models, "gone.onnx", scaling_model(3))
    agent.apply(room.spec("gone.onnx"), annotations={"dlagent.io/retry": "1"})
    agent.wait_ready()
    assert TRIPLED == agent.infer([ROW])["y"]


def test_a_wrong_digest_never_serves(room: Room) -> None:
    agent = ready_agent(room)
    write(room.models, "other.onnx", scaling_model(3))

    agent.apply(room.spec("other.onnx", sha256="0" * 64))

    agent.wait_for("ArtifactReady", "False", "DigestMismatch")
    agent.wait_for("Stalled", "True")
    assert DOUBLED == agent.infer([ROW])["y"]


def stored_models(room: Room) -> list[Path]:
    store = room.cluster.volume_path(room.kubectl.namespace, "dlagent-artifacts")
    return sorted(store.glob("artifacts/*/model/1/model.onnx"))


def test_a_flipped_byte_in_the_store_is_never_served_and_is_built_again(room: Room) -> None:
    agent = ready_agent(room)
    (stored,) = stored_models(room)
    good = stored.read_bytes()
    flipped = bytearray(good)
    flipped[len(flipped) // 2] ^= 0x10
    stored.chmod(0o644)
    stored.write_bytes(bytes(flipped))
    pod = agent.serving_pods()[0]["metadata"]["name"]

    room.kubectl("delete", "pod", pod, "--wait=false")

    eventually(
        lambda: [path.read_bytes() for path in stored_models(room)],
        lambda contents: contents == [good],
        what="the artifact is whole again",
    )
    agent.wait_ready()
    eventually(lambda: agent.infer([ROW])["y"], lambda y: y == DOUBLED, what="the right answer")


def test_a_full_store_is_said_and_what_served_goes_on(room: Room) -> None:
    store = claim("dlagent-artifacts", size="2Mi", storage_class="local-limited")
    room.kubectl.apply(store)
    agent = ready_agent(room)
    write(room.models, "large.onnx", scaling_model(3, extra_bytes=3_000_000))

    agent.apply(room.spec("large.onnx"))

    condition = agent.wait_for("ArtifactReady", "False", "NoSpace")
    assert "dlagent-artifacts" in condition["message"]
    assert DOUBLED == agent.infer([ROW])["y"]


def test_a_revision_that_does_not_come_up_is_given_up(room: Room) -> None:
    agent = ready_agent(room)
    good = agent.get()["status"]["serving"]["revision"]
    never = room.spec(serving={"nodeSelector": {"disk": "none"}}, rollout={"deadlineSeconds": 30})

    agent.apply(never)

    agent.wait_for("Stalled", "True")
    status = agent.get()["status"]["serving"]
    assert good == status["revision"]
    assert good != status["rejectedRevision"]
    assert DOUBLED == agent.infer([ROW])["y"]
    eventually(
        lambda: len(room.kubectl.items("deployments")),
        lambda n: n == 1,
        what="the rejected is gone",
    )

    agent.apply(room.spec())
    agent.wait_ready()


def test_children_that_somebody_changed_or_deleted_are_put_right(room: Room) -> None:
    agent = ready_agent(room)

    room.kubectl("delete", "service", agent.name)
    room.kubectl("delete", "poddisruptionbudget", "--all")
    (deployment,) = room.kubectl.items("deployments")
    name = deployment["metadata"]["name"]
    room.kubectl("scale", "deployment", name, "--replicas=3")

    eventually(lambda: agent.infer([ROW])["y"], lambda y: y == DOUBLED, what="the Service is back")
    eventually(lambda: room.kubectl.items("poddisruptionbudgets"), what="the PDB is back")
    eventually(
        lambda: room.kubectl.json("get", "deployment", name)["spec"]["replicas"],
        lambda replicas: replicas == 1,
        what="the size is put right",
    )


def test_deletion_during_a_build_leaves_nothing(room: Room) -> None:
    write(room.models, "model.onnx", scaling_model(2))
    agent = room.agent()
    agent.apply(room.spec())
    eventually(lambda: room.kubectl.items("jobs"), what="a build Job")

    room.kubectl("delete", "dlagent", agent.name)

    eventually(
        lambda: room.kubectl.items("jobs,pods,deployments,services"),
        lambda left: left == [],
        what="nothing is left",
    )


@pytest.mark.disruptive
def test_steady_state_writes_nothing(room: Room, operator: OperatorUnderTest) -> None:
    agent = ready_agent(room)
    eventually(lambda: agent.condition("Reconciling"), lambda c: c == {}, what="it settled")
    agent.wait_for("ScalingActive", "True", "Active")  # its pods are measured, and then recorded
    agent.wait_for("SLOMet", "Unknown", "NoTraffic", within_seconds=2 * DEADLINE_SECONDS)

    def versions() -> dict[str, str]:
        kinds = "dlagents,deployments,services,poddisruptionbudgets,networkpolicies,configmaps"
        return {
            f"{o['kind']}/{o['metadata']['name']}": o["metadata"]["resourceVersion"]
            for o in room.kubectl.items(kinds)
        }

    before = versions()
    operator.kill()
    try:
        operator.wait_available()
    except KubectlError as error:
        raise AssertionError(f"the operator did not come back: {error}") from error
    assert before == versions(), "a restart of the operator writes nothing"
