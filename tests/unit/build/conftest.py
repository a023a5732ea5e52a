"""What the build's tests share: small ONNX models with known answers, and a build of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from dlagent.adapters.store import FolderStore
from dlagent.build.pipeline import build
from dlagent.build.places import Places
from dlagent.build.progress import Progress
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import Summary


def make_model(
    nodes: list[NodeProto],
    inputs: dict[str, list[Any]],
    outputs: dict[str, list[Any]],
    weights: dict[str, Any] | None = None,
    opset: int = 18,
    types: dict[str, int] | None = None,
) -> ModelProto:
    def describe(tensors: dict[str, list[Any]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, (types or {}).get(name, TensorProto.FLOAT), shape)
            for name, shape in tensors.items()
        ]

    graph = helper.make_graph(
        nodes,
        "test",
        describe(inputs),
        describe(outputs),
        [
            numpy_helper.from_array(np.asarray(value, np.float32), name)
            for name, value in (weights or {}).items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def double(shape: list[Any] | None = None, **changes: Any) -> ModelProto:
    """y = 2 x, over rows of 4 unless told otherwise."""
    axes = shape if shape is not None else ["batch", 4]
    return make_model(
        [helper.make_node("Mul", ["x", "two"], ["y"])],
        {"x": axes},
        {"y": axes},
        {"two": 2},
        **changes,
    )


class Workshop:
    """A folder with a claim, a store and scratch, in which builds run."""

    def __init__(self, root: Path) -> None:
        self.claim = root / "sources" / "models"
        self.claim.mkdir(parents=True)
        self.scratch = root / "scratch"
        self.scratch.mkdir()
        self.store_root = root / "store"
        self.stages: list[str] = []
        self._root = root

    def put(self, model: ModelProto | bytes, name: str = "net.onnx") -> None:
        data = model if isinstance(model, bytes) else model.SerializeToString()
        (self.claim / name).write_bytes(data)

    def request(self, name: str = "net.onnx", **fields: Any) -> BuildRequest:
        return BuildRequest.model_validate(
            {
                "sourceUri": f"pvc://models/{name}",
                "target": {"tritonVersion": "24.10", "accelerator": "cpu"},
                "maxSourceBytes": 10**8,
                **fields,
            }
        )

    def build(
        self, name: str = "net.onnx", store: FolderStore | None = None, **fields: Any
    ) -> Summary:
        self.stages = []
        places = Places(self._root / "sources", store or FolderStore(self.store_root), self.scratch)
        progress = Progress(show=lambda stage, _: self.stages.append(stage))
        return build(self.request(name, **fields), places, progress)

    def model_bytes(self, key: str | None) -> bytes:
        return (self.store_root / f"artifacts/{key}/model/1/model.onnx").read_bytes()


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture(name="double")
def _double() -> Callable[..., ModelProto]:
    return double


@pytest.fixture(name="make_model")
def _make_model() -> Callable[..., ModelProto]:
    return make_model
