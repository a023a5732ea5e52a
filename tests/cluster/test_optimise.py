"""A build with a data set: the fastest version that keeps the accuracy serves, or none does."""

import hashlib
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from harness import Json
from models import write
from rooms import MODELS_CLAIM, Room

CLASSES, FEATURES, HIDDEN, EXAMPLES = 4, 32, 512, 2_000
RANDOM = np.random.default_rng(5)
CENTRES = RANDOM.normal(size=(CLASSES, FEATURES)).astype(np.float32)


def classifier() -> bytes:
    """ONNX that gives the class of the nearest centre, by way of wide products of matrices."""
    wide = np.linalg.qr(RANDOM.normal(size=(HIDDEN, FEATURES)))[0].T.astype(np.float32)
    middle = np.eye(HIDDEN, dtype=np.float32)
    weights = {
        "widen": wide,
        "middle": middle,
        "narrow": (wide.T @ CENTRES.T).astype(np.float32),
        "bias": (-0.5 * (CENTRES**2).sum(axis=1)).astype(np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "widen"], ["a"]),
        helper.make_node("MatMul", ["a", "middle"], ["b"]),
        helper.make_node("MatMul", ["b", "narrow"], ["c"]),
        helper.make_node("Add", ["c", "bias"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "nearest",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", FEATURES])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data


def examples() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    labels = np.arange(EXAMPLES) % CLASSES
    noise = np.random.default_rng(6).normal(size=(EXAMPLES, FEATURES))
    return (CENTRES[labels] + 0.8 * noise).astype(np.float32), labels


def dataset(**changes: Any) -> bytes:
    inputs, labels = examples()
    file = io.BytesIO()
    np.savez(file, **{"x": inputs, "labels": labels, **changes})
    return file.getvalue()


def put(room: Room, data: bytes) -> Json:
    """A data set in the room's volume, as spec.build.dataset names it."""
    write(room.models, "examples.npz", data)
    digest = hashlib.sha256(data).hexdigest()
    return {"uri": f"pvc://{MODELS_CLAIM}/examples.npz", "sha256": digest}


def test_the_chosen_version_serves_and_the_status_tells_of_the_others(room: Room) -> None:
    write(room.models, "model.onnx", classifier())
    agent = room.agent()
    gate = {"metric": "Accuracy", "maxDropPercent": "2"}

    agent.apply(room.spec(build={"dataset": put(room, dataset()), "gate": gate}))
    status = agent.wait_ready()["status"]

    artifact = status["artifact"]
    assert "Accuracy" == artifact["metric"]
    assert float(artifact["baseline"]) - float(artifact["value"]) <= 0.02
    verdicts = {each["name"]: each["verdict"] for each in status["candidates"]}
    assert 1 == list(verdicts.values()).count("Chosen")
    assert "fp32" in verdicts
    assert any(name.startswith("int8") for name in verdicts)
    inputs, labels = examples()
    scores = np.asarray(agent.infer(inputs[:8].tolist())["scores"]).reshape(8, CLASSES)
    assert (scores.argmax(axis=1) == labels[:8]).mean() > 0.8
    assert artifact["value"] in room.kubectl("get", "dla", "-o", "wide")


def test_where_nothing_passes_the_gate_the_last_good_version_serves_on(room: Room) -> None:
    write(room.models, "model.onnx", classifier())
    agent = room.agent()
    agent.apply(room.spec())
    before = agent.wait_ready()["status"]
    gate = {"metric": "MaxAbsError", "maxAbsError": "0.0000001"}

    agent.apply(
        room.spec(
            build={"dataset": put(room, dataset()), "gate": gate, "precision": "INT8"},
        )
    )
    agent.wait_for("ArtifactReady", "False", "GateFailed")
    agent.wait_for("Available", "True", "ServingPrevious")

    status = agent.get()["status"]
    assert before["serving"]["revision"] == status["serving"]["revision"]
    conditions = {c["type"]: c for c in status["conditions"]}
    assert "True" == conditions["Stalled"]["status"]
    assert "keeps the accuracy" in conditions["Ready"]["message"]
    assert any(each["verdict"] == "Dropped" for each in status["candidates"])
    inputs, _ = examples()
    assert CLASSES == len(agent.infer(inputs[:1].tolist())["scores"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"labels": np.full(EXAMPLES, CLASSES)}, "are not classes of the network", id="labels"
        ),
        pytest.param(
            {"x": np.full((EXAMPLES, FEATURES), np.nan, np.float32)}, "NaN", id="no numbers"
        ),
    ],
)
def test_a_data_set_that_cannot_be_used_is_told_of(room: Room, changes: Json, message: str) -> None:
    write(room.models, "model.onnx", classifier())
    agent = room.agent()

    agent.apply(room.spec(build={"dataset": put(room, dataset(**changes))}))

    condition = agent.wait_for("ArtifactReady", "False", "InvalidDataset")
    assert message in condition["message"]


def test_two_agents_with_the_same_inputs_share_one_build(room: Room) -> None:
    write(room.models, "model.onnx", classifier())
    build = {"dataset": put(room, dataset()), "gate": {"maxDropPercent": "2"}}
    first, second = room.agent("first"), room.agent("second")

    first.apply(room.spec(build=build))
    second.apply(room.spec(build=build, slo={"latency": {"thresholdMilliseconds": 200}}))
    keys = {agent.wait_ready()["status"]["artifact"]["key"] for agent in (first, second)}

    assert 1 == len(keys)
    records = room.kubectl.items("configmaps", "-l", "app.kubernetes.io/component=store")
    assert 1 == len([each for each in records if "summary" in each.get("data", {})])
