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

from dlagent.domain.artifact.summary import Summary
from tests.unit.adapters.faulty_server import BUCKET, FaultyServer

REQUEST = {
    "sourceUri": "pvc://models/net.onnx",
    "target": {"tritonVersion": "24.10", "accelerator": "cpu"},
    "maxSourceBytes": 10**8,
}


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
    def start(cls, server: FaultyServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
        """Starts a program of a pod; its termination message is in the file `message-<number>`."""
        root = tmp_path_factory.mktemp("pods")
        (root / "sources/models").mkdir(parents=True)
        (root / "sources/models/net.onnx").write_bytes(doubling_model())
        (root / "models").mkdir()
        environment = {
            **os.environ,
            **{f"DLAGENT_STORE_{name}": value for name, value in server.environment.items()},
            "DLAGENT_BUILD_REQUEST": json.dumps(REQUEST),
        }
        store = f"{server.scheme}://{BUCKET}/prefix/vision"
        numbers = iter(range(100))

        def start_(*words: str) -> tuple[subprocess.Popen[str], Path]:
            message = root / f"message-{next(numbers)}"
            filled = [word.format(root=root) for word in words]
            command = [sys.executable, "-m", filled[0]]
            options = ["--store", store, "--termination-log", str(message)]
            # The build's options follow its command, all others' may stand first.
            placed = (
                [*filled[1:2], *options, *filled[2:]]
                if "build" in words[0]
                else [*options, *filled[1:]]
            )
            process = subprocess.Popen(
                [*command, *placed], env=environment, text=True, stdout=subprocess.PIPE
            )
            return process, message

        return start_

    def test_the_way_of_an_artifact(self, server: FaultyServer, start: Callable[..., Any]) -> None:
        build = ("dlagent.build", "job", "--sources", "{root}/sources")
        builds = [start(*build) for _ in range(2)]
        assert [0, 0] == [process.wait(120) for process, _ in builds]
        first, second = (Summary.model_validate_json(m.read_text()) for _, m in builds)
        assert first.key == second.key
        assert first.tau == second.tau, "both tell of the one artifact that was published"

        load = (
            "dlagent.load",
            "--key",
            str(first.key),
            "--name",
            "shoes",
            "--models",
            "{root}/models",
        )
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
