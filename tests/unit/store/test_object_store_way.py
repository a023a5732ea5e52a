"""The whole way of an artifact through an object store, by the programs of the pods: two builds at
once, the loader, and a sweep, each a process with the store's credentials in its environment."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from numpy import asarray, float32
from onnx import TensorProto, helper, numpy_helper

from dlagent.domain.artifact.request import BuildRequest, Target
from tests.unit.adapters.faulty_s3 import BUCKET, ENVIRONMENT, FaultyS3
from tests.unit.build.pods import CONTAINERS, BuildPod

STORE = f"s3://{BUCKET}/prefix/vision"
REQUEST = BuildRequest(
    source_uri="pvc://models/net.onnx",
    target=Target(triton_version="24.10", accelerator="cpu"),
    max_source_bytes=10**8,
)


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyS3]:
    found = FaultyS3()
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("pods")
    (found / "sources/models").mkdir(parents=True)
    (found / "sources/models/net.onnx").write_bytes(doubling_model())
    (found / "models").mkdir()
    return found


@pytest.fixture(scope="module")
def credentials(server: FaultyS3) -> dict[str, str]:
    """The store's Secret, as its pods have it in their environment."""
    own = ENVIRONMENT | {"AWS_ENDPOINT_URL": server.url}
    return {f"DLAGENT_STORE_{name}": value for name, value in own.items()}


@pytest.fixture(scope="module")
def start(root: Path, credentials: dict[str, str]) -> Any:
    """Starts a program of a pod; its termination message is in the file `message-<number>`."""
    numbers = iter(range(100))

    def start_(module: str, *words: str) -> tuple[subprocess.Popen[str], Path]:
        message = root / f"message-{next(numbers)}"
        command = [sys.executable, "-m", module, "--store", STORE]
        command += ["--termination-log", str(message)]
        process = subprocess.Popen(
            [*command, *(word.format(root=root) for word in words)],
            env={**os.environ, **credentials},
            text=True,
            stdout=subprocess.PIPE,
        )
        return process, message

    return start_


def doubling_model() -> bytes:
    axes: list[str | int | None] = ["batch", 4]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "two"], ["y"])],
        "doubling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, axes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, axes)],
        [numpy_helper.from_array(asarray([2], float32), "two")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data


def test_the_way_of_an_artifact(
    server: FaultyS3, start: Callable[..., Any], root: Path, credentials: dict[str, str]
) -> None:
    pods = [BuildPod(root / name, root / "sources", STORE, REQUEST) for name in ("first", "second")]
    for container in CONTAINERS:
        # Where models are read there are no credentials.
        environment = {} if container == "build" else credentials
        builds = [pod.start(container, more=environment) for pod in pods]
        assert [0, 0] == [process.wait(120) for process in builds]
    first, second = (pod.message("publish") for pod in pods)
    assert first is not None
    assert first == second, "both tell of the one artifact that was published"

    load = ("dlagent.load", "--key", str(first.key), "--name", "shoes", "--models", "{root}/models")
    loader, message = start(*load)
    assert (0, f"loaded artifact {first.key}") == (loader.wait(60), message.read_text())
    assert {"config.pbtxt", "model.onnx"} <= {
        path.name for path in (message.parent / "models/shoes").rglob("*")
    }

    kept, message = start(
        "dlagent.store", "sweep", "--grace-hours", "0.000001", f"--keep={first.key}"
    )
    assert 0 == kept.wait(60)
    assert 1 == json.loads(message.read_text())["keptCount"]
    swept, message = start("dlagent.store", "sweep", "--grace-hours", "0.000001")
    assert 0 == swept.wait(60)
    assert 1 == json.loads(message.read_text())["removedCount"]
    assert [] == server.filesystem().find(f"{BUCKET}/prefix")

    loader, message = start(*load)
    assert 20 == loader.wait(60)
    assert "the operator builds it again" in message.read_text()
