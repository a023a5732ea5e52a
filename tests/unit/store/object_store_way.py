"""The whole way of an artifact through an object store, by the programs of the pods: two builds at
once, the loader, and a sweep, each a process with the store's credentials in its environment.

A module of a service defines the fixture `server` and a class that inherits `WayTests`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy import asarray, float32
from onnx import TensorProto, helper, numpy_helper

from dlagent.domain.artifact.request import BuildRequest, Target
from tests.unit.adapters.faulty_server import BUCKET, FaultyServer
from tests.unit.build.pods import CONTAINERS, BuildPod

REQUEST = BuildRequest(
    source_uri="pvc://models/net.onnx",
    target=Target(triton_version="24.10", accelerator="cpu"),
    max_source_bytes=10**8,
)


def location(server: FaultyServer) -> str:
    return f"{server.scheme}://{BUCKET}/prefix/vision"


def credentials(server: FaultyServer) -> dict[str, str]:
    """The store's Secret, as its pods have it in their environment."""
    return {f"DLAGENT_STORE_{name}": value for name, value in server.environment.items()}


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


class WayTests:
    @pytest.fixture(scope="class")
    @classmethod
    def root(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        found = tmp_path_factory.mktemp("pods")
        (found / "sources/models").mkdir(parents=True)
        (found / "sources/models/net.onnx").write_bytes(doubling_model())
        (found / "models").mkdir()
        return found

    @pytest.fixture(scope="class")
    @classmethod
    def start(cls, server: FaultyServer, root: Path) -> Any:
        """Starts a program of a pod; its termination message is in the file `message-<number>`."""
        numbers = iter(range(100))

        def start_(module: str, *words: str) -> tuple[subprocess.Popen[str], Path]:
            message = root / f"message-{next(numbers)}"
            command = [sys.executable, "-m", module, "--store", location(server)]
            command += ["--termination-log", str(message), *words]
            environment = {**os.environ, **credentials(server)}
            process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE)
            return process, message

        return start_

    def test_the_way_of_an_artifact(
        self, server: FaultyServer, start: Callable[..., Any], root: Path
    ) -> None:
        pods = [
            BuildPod(root / name, root / "sources", location(server), REQUEST)
            for name in ("first", "second")
        ]
        for container in CONTAINERS:
            # Where models are read there are no credentials.
            environment = {} if container == "build" else credentials(server)
            builds = [pod.start(container, more=environment) for pod in pods]
            assert [0, 0] == [process.wait(120) for process in builds]
        first, second = (pod.message("publish") for pod in pods)
        assert first is not None
        assert first == second, "both tell of the one artifact that was published"

        models = ("--name", "shoes", "--models", str(root / "models"))
        load = ("dlagent.load", "--key", str(first.key), *models)
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
