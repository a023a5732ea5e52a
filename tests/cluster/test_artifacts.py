"""The store of a real namespace: looked at by `dlagent artifacts`, swept by the operator's Job."""

import json

import pytest
from typer.testing import CliRunner

from dlagent.cli.artifacts import app
from harness import Agent, eventually
from models import scaling_model, write
from rooms import Room
from scaled import operator_with

ROW = [1.0, 2.0, 3.0, 4.0]
TRIPLED = [3.0, 6.0, 9.0, 12.0]


def artifacts(room: Room, *words: str) -> str:
    where = ["-n", room.kubectl.namespace, "--kubeconfig", str(room.kubectl.kubeconfig)]
    done = CliRunner().invoke(app, [*words, *where], catch_exceptions=False)
    assert 0 == done.exit_code, done.output
    return done.output


def replaced(room: Room) -> tuple[Agent, str, str]:
    """An agent that serves another model than it once did: the keys of both."""
    agent = room.agent()
    keys = []
    for factor in (2, 3):
        write(room.models, f"v{factor}.onnx", scaling_model(factor))
        agent.apply(room.spec(f"v{factor}.onnx"))
        keys.append(agent.wait_ready()["status"]["artifact"]["key"])
    eventually(
        lambda: len(room.kubectl.items("deployments")), lambda n: n == 1, what="one revision"
    )
    eventually(lambda: room.kubectl.items("jobs"), lambda jobs: jobs == [], what="no build")
    return agent, keys[0], keys[1]


def stored(room: Room) -> set[str]:
    store = room.cluster.volume_path(room.kubectl.namespace, "dlagent-artifacts")
    return {path.name for path in store.glob("artifacts/*")}


def records(room: Room) -> set[str]:
    found = room.kubectl.items("configmaps", "-l", "dlagent.io/artifact")
    return {record["metadata"]["labels"]["dlagent.io/artifact"] for record in found}


def answers_after_a_restart(room: Room, agent: Agent) -> None:
    room.kubectl("delete", "pod", agent.serving_pods()[0]["metadata"]["name"], "--wait=false")
    agent.wait_ready()
    eventually(lambda: agent.infer([ROW])["y"], lambda y: y == TRIPLED, what="the right answer")


def test_what_builds_have_made_is_listed_verified_and_pruned(room: Room) -> None:
    agent, first, second = replaced(room)

    rows = {line.split()[1]: line for line in artifacts(room, "list").splitlines() if "│" in line}
    assert {first[:12], second[:12]} <= rows.keys()
    assert "nobody" in rows[first[:12]]
    assert agent.name in rows[second[:12]]
    assert second[:32] in artifacts(room, "show", second[:8])
    assert 2 == artifacts(room, "verify").count("whole")
    artifacts(room, "prune", "--dry-run", "--older-than", "0")
    assert {first, second} == stored(room)

    artifacts(room, "prune", "--yes", "--older-than", "0")

    assert {second} == stored(room)
    assert {second[:16]} == records(room)
    answers_after_a_restart(room, agent)
    assert [] == room.kubectl.items("pods", "-l", "app.kubernetes.io/component=store")


# By which a sweep is always due, and nothing is young.
SWEPT_OFTEN = {"artifacts": {"sweep": {"intervalHours": 0.001, "graceHours": 0.001}}}


@pytest.mark.disruptive
def test_the_operator_sweeps_what_no_agent_names(room: Room) -> None:
    agent, first, second = replaced(room)

    with operator_with(room.cluster, SWEPT_OFTEN):
        eventually(
            lambda: stored(room),
            lambda keys: keys == {second},
            within_seconds=300,
            what=f"{first} is swept",
        )
        told = eventually(
            lambda: room.kubectl.json("get", "configmap", "dlagent-sweep")["data"]["report"],
            lambda report: '"removedCount":1' in report,
            what="what the sweep did is written down",
        )

    assert first[:16] in json.loads(told)["removed"]
    assert {second[:16]} == records(room)
    answers_after_a_restart(room, agent)
