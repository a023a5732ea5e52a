"""What bad input gets on the real parts: a condition with a reason and a remedy, no retry storm.

What admission refuses is in test_admission.py.
"""

import io
import pickle
import zipfile
from collections.abc import Callable

import pytest

from harness import Json
from models import custom_operator_model, scaling_model, write
from rooms import Room

LARGER_THAN_ANY_LIMIT_BYTES = 1 << 42


def a_missing_file(room: Room) -> Json:
    return room.spec("missing.onnx")


def a_wrong_sha256(room: Room) -> Json:
    write(room.models, "model.onnx", scaling_model(2))
    return room.spec(sha256="f" * 64)


def a_file_that_is_no_onnx(room: Room) -> Json:
    write(room.models, "model.onnx", b"<!DOCTYPE html><title>404</title>")
    return room.spec()


def a_truncated_file(room: Room) -> Json:
    write(room.models, "model.onnx", scaling_model(2)[:-40])
    return room.spec()


def a_pickle_under_another_name(room: Room) -> Json:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"weights": [1, 2]}))
    write(room.models, "model.onnx", buffer.getvalue())
    return room.spec()


def an_operator_nobody_knows(room: Room) -> Json:
    write(room.models, "model.onnx", custom_operator_model())
    return room.spec()


def declared_shapes_that_the_model_does_not_have(room: Room) -> Json:
    write(room.models, "model.onnx", scaling_model(2))
    declared = [{"name": "x", "dataType": "FP32", "shape": [7]}]
    return room.spec(model={"inputs": declared})


def a_step_that_does_not_fit_the_model(room: Room) -> Json:
    write(room.models, "model.onnx", scaling_model(2))
    return room.spec(act=[{"topK": {"k": 9}}])


def a_source_over_the_size_limit(room: Room) -> Json:
    with (room.models / "model.onnx").open("wb") as file:
        file.truncate(LARGER_THAN_ANY_LIMIT_BYTES)
    return room.spec()


def a_volume_that_is_not_there(room: Room) -> Json:
    return room.spec(model={"source": {"uri": "pvc://nowhere/model.onnx"}})


def no_node_for_the_build(room: Room) -> Json:
    write(room.models, "model.onnx", scaling_model(2))
    return room.spec(build={"nodeSelector": {"disk": "none"}})


def an_image_that_is_not_found(room: Room) -> Json:
    write(room.models, "model.onnx", scaling_model(2))
    return room.spec(build={"image": "dlagent.local/nothing:1"})


def a_build_without_enough_memory(room: Room) -> Json:
    # Memory is looked at once a second: a small model could be built in between.
    write(room.models, "model.onnx", scaling_model(2, extra_bytes=100_000_000))
    return room.spec(
        build={"resources": {"requests": {"memory": "8Mi"}, "limits": {"memory": "16Mi"}}}
    )


def a_build_that_takes_too_long(room: Room) -> Json:
    write(room.models, "model.onnx", scaling_model(2))
    return room.spec(build={"nodeSelector": {"disk": "none"}, "timeoutMinutes": 1})


@pytest.mark.parametrize(
    ("bad", "reason", "message"),
    [
        (a_missing_file, "SourceUnavailable", "missing.onnx"),
        (a_wrong_sha256, "DigestMismatch", "sha256"),
        (a_file_that_is_no_onnx, "InvalidModel", "ONNX"),
        (a_truncated_file, "InvalidModel", "ONNX"),
        (a_pickle_under_another_name, "PickleRefused", "pickle"),
        (an_operator_nobody_knows, "UnsupportedOperator", "Frobnicate"),
        (declared_shapes_that_the_model_does_not_have, "ShapeMismatch", "x"),
        (a_step_that_does_not_fit_the_model, "ShapeMismatch", "topK"),
        (a_source_over_the_size_limit, "SourceTooLarge", "limit"),
        (a_volume_that_is_not_there, "VolumeMissing", "nowhere"),
        (no_node_for_the_build, "Unschedulable", "build.nodeSelector"),
        (an_image_that_is_not_found, "ImageNotFound", "dlagent.local/nothing:1"),
        (a_build_without_enough_memory, "OutOfMemory", "build.resources.limits.memory"),
        (a_build_that_takes_too_long, "BuildTimedOut", "build.timeoutMinutes"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_bad_input_gets_a_reason_and_a_remedy(
    room: Room, bad: Callable[[Room], Json], reason: str, message: str
) -> None:
    agent = room.agent()

    agent.apply(bad(room))

    condition = agent.wait_for("ArtifactReady", "False", reason, within_seconds=180)
    assert message in condition["message"]
    assert "Traceback" not in condition["message"]
    ready = agent.condition("Ready")
    assert ("False", reason) == (ready["status"], ready["reason"])
    assert len(room.kubectl.items("jobs")) <= 1


@pytest.mark.parametrize(
    ("serving", "reason", "message"),
    [
        ({"nodeSelector": {"disk": "none"}}, "Unschedulable", "serving.nodeSelector"),
        ({"resources": {"limits": {"memory": "16Mi"}}}, "OutOfMemory", "serving.resources"),
        (
            {"accelerator": {"resource": "nvidia.com/gpu", "count": 8}},
            "Unschedulable",
            "nvidia.com/gpu",
        ),
    ],
    ids=["no node fits", "too little memory", "no accelerator is left"],
)
def test_serving_that_cannot_run_says_why(
    room: Room, serving: Json, reason: str, message: str
) -> None:
    write(room.models, "model.onnx", scaling_model(2))
    agent = room.agent()

    agent.apply(room.spec(serving=serving))

    condition = agent.wait_for("Ready", "False", reason)
    assert message in condition["message"]
    agent.apply(room.spec())
    agent.wait_ready()
