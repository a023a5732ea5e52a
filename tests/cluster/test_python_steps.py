"""Python steps in a cluster: scripts from a ConfigMap around a network."""

from typing import Any

import pytest

from harness import Agent, Json, eventually, post
from models import scaling_model, write
from rooms import Room

SENT = [1.0, 2.0, 3.0, 4.0]
FRONT = """
import numpy as np

def step(inputs):
    return {"x": inputs["raw"] + np.float32(1)}
"""
BACK = """
def step(inputs):
    return {"sum": inputs["y"].sum(axis=1, keepdims=True)}
"""


def config_map(front: str = FRONT) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "steps"},
        "data": {"front.py": front, "back.py": BACK},
    }


def python(key: str, name: str, *shape: int) -> Json:
    output = {"name": name, "dataType": "FP32", "shape": list(shape)}
    return {"python": {"configMapRef": {"name": "steps", "key": key}, "outputs": [output]}}


def spec(room: Room, digest: str) -> Json:
    made = room.spec(
        sha256=digest,
        perceive=[python("front.py", "x", 4)],
        act=[python("back.py", "sum", 1)],
    )
    made["model"]["inputs"] = [{"name": "raw", "dataType": "FP32", "shape": [4]}]
    return made


def answer(agent: Agent) -> list[float]:
    found: list[float] = agent.infer([SENT], "raw")["sum"]
    return found


def test_an_agent_with_scripts_answers_and_follows_its_config_map(room: Room) -> None:
    digest = write(room.models, "model.onnx", scaling_model(2))
    room.kubectl.apply(config_map())
    agent = room.agent()
    agent.apply(spec(room, digest))
    first = agent.wait_ready()["status"]["serving"]["revision"]
    assert [2 * (sum(SENT) + 4)] == answer(agent)

    room.kubectl.apply(config_map(FRONT.replace("float32(1)", "float32(3)")))

    def revision() -> Any:
        return agent.get()["status"]["serving"]["revision"]

    eventually(revision, lambda now: now != first, what="the changed script serves")
    assert [2 * (sum(SENT) + 12)] == eventually(
        lambda: answer(agent), lambda found: found != [2 * (sum(SENT) + 4)], what="its answer"
    )
    agent.wait_ready()


def test_a_config_map_that_is_missing_is_told_of_until_it_is_there(room: Room) -> None:
    digest = write(room.models, "model.onnx", scaling_model(2))
    agent = room.agent()
    agent.apply(spec(room, digest))

    told = agent.wait_for("Ready", "False", "PythonStepUnavailable")
    assert (
        "spec.perceive[0].python: there is no ConfigMap steps. Create it: kubectl create configmap"
        " steps --from-file=front.py."
    ) in told["message"]

    room.kubectl.apply(config_map())
    agent.wait_ready()
    assert [2 * (sum(SENT) + 4)] == answer(agent)


def test_what_serves_goes_on_when_the_script_fails(room: Room) -> None:
    digest = write(room.models, "model.onnx", scaling_model(2))
    room.kubectl.apply(config_map())
    agent = room.agent()
    agent.apply(spec(room, digest))
    agent.wait_ready()

    room.kubectl.apply(config_map("def step(inputs):\n    return {'x': 1 / 0}\n"))

    told = agent.wait_for("Ready", "False", "PythonStepFailed")
    assert "line 2: ZeroDivisionError" in told["message"]
    assert "True" == agent.condition("Available")["status"]
    assert [2 * (sum(SENT) + 4)] == answer(agent)


def test_a_request_that_the_script_cannot_take_is_told_why(room: Room) -> None:
    digest = write(room.models, "model.onnx", scaling_model(2))
    refusing = FRONT.replace(
        "    return",
        "    if (inputs['raw'] < 0).any():\n        raise ValueError('below 0')\n    return",
    )
    room.kubectl.apply(config_map(refusing))
    agent = room.agent()
    agent.apply(spec(room, digest))
    agent.wait_ready()
    tensor = {"name": "raw", "datatype": "FP32", "shape": [1, 4], "data": [-1.0, 0, 0, 0]}

    with pytest.raises(OSError, match="the python step of perceive: line 6: ValueError: below 0"):
        post(agent.url(), f"/v2/models/{agent.name}/infer", {"inputs": [tensor]})
