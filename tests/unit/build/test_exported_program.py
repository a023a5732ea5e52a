"""ExportedProgram: exported and served as ONNX, and no code of the archive ever runs.

One process imports torch for all of these tests; that takes seconds.
"""

import io
import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from dlagent.api.crd import resource_schema
from dlagent.build import exported_program
from dlagent.build.failure import BuildError
from dlagent.build.runtime import Session
from tests.unit.build.pods import BuildPod


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(72, 5)
        )

    def forward(self, image: Any) -> Any:
        return self.layers(image)


def archive(dynamic: bool) -> bytes:
    torch.manual_seed(0)
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    program = torch.export.export(Net().eval(), (torch.zeros(2, 1, 8, 8),), dynamic_shapes=shapes)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def batched() -> bytes:
    return archive(dynamic=True)


def rewritten(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return buffer.getvalue()


def test_it_is_served_as_onnx_with_the_tensors_named_as_declared(
    workshop: Any, batched: bytes
) -> None:
    workshop.put(batched, "net.pt2")

    summary = workshop.build(
        "net.pt2",
        inputs=[{"name": "pixels", "dataType": "UINT8", "shape": [8, 8]}],
        outputs=[{"name": "logits", "dataType": "FP32", "shape": [5]}],
        perceive=[{"scale": {"multiply": "0.00392"}}, {"reshape": {"shape": [1, 8, 8]}}],
    )

    assert "Published" == summary.outcome, summary.message
    assert summary.interface.batched
    assert ["pixels"] == [t.name for t in summary.interface.inputs]
    assert ["logits"] == [t.name for t in summary.interface.outputs]
    pixels = np.arange(128, dtype=np.uint8).reshape(2, 8, 8)
    with torch.no_grad():
        torch.manual_seed(0)
        given = torch.from_numpy(pixels.astype(np.float32) * np.float32(0.00392))
        expected = Net().eval()(given.reshape(2, 1, 8, 8)).numpy()
    answer = Session(workshop.model_bytes(summary.key)).run({"pixels": pixels})["logits"]
    np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-5)


def test_the_same_program_gives_the_same_bytes_in_another_process(
    workshop: Any, batched: bytes, tmp_path: Path
) -> None:
    workshop.put(batched, "net.pt2")
    summary = workshop.build("net.pt2")
    request = workshop.request("net.pt2")

    pod = BuildPod(tmp_path / "pod", workshop.claim.parent, str(tmp_path / "other"), request)
    assert summary.key == pod.run({"PYTHONHASHSEED": "7"}).key

    other = tmp_path / f"other/artifacts/{summary.key}/model/1/model.onnx"
    data = workshop.model_bytes(summary.key)
    assert data == other.read_bytes()
    for trace in (b"stack_trace", b"site-packages", b".py", b"namespace"):
        assert trace not in data
    model = onnx.load_model_from_string(data)
    assert ["batch"] == [t.type.tensor_type.shape.dim[0].dim_param for t in model.graph.input]


def test_without_a_dynamic_batch_it_is_served_whole(workshop: Any) -> None:
    workshop.put(archive(dynamic=False), "net.pt2")

    summary = workshop.build("net.pt2")

    assert "Published" == summary.outcome, summary.message
    assert not summary.interface.batched
    assert [[2, 1, 8, 8]] == [t.shape for t in summary.interface.inputs]
    report = json.loads((workshop.store_root / f"artifacts/{summary.key}/report.json").read_text())
    assert "is fixed; where it is that of the batch, export" in report["notBatchedBecause"]


def test_what_is_advised_in_place_of_a_pickle_serves_batches(
    workshop: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The apiserver's message has a command, which is run here as it stands there."""
    monkeypatch.chdir(tmp_path)
    schema = resource_schema()
    for field in ("spec", "model", "source", "uri"):
        schema = schema["properties"][field]
    rules = schema["x-kubernetes-validations"]
    (message,) = (rule["message"] for rule in rules if "is a pickle" in rule["message"])
    command = re.search(r"torch\.export\.save\(.*'model\.pt2'\)", message)
    assert command is not None
    names = {"torch": torch, "model": Net(), "two_examples": torch.zeros(2, 1, 8, 8)}
    eval(command.group(), names)

    workshop.put((tmp_path / "model.pt2").read_bytes(), "net.pt2")
    summary = workshop.build("net.pt2")

    assert summary.interface.batched


class Trap:
    """Unpickled, it leaves a file; as a weight, an example input or a constant of an archive."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self._path),))


def with_pickled_weight(data: bytes, trap: bytes) -> bytes:
    def change(name: str, content: bytes) -> bytes:
        if name.endswith("model_weights_config.json"):
            config = json.loads(content)
            for entry in config["config"].values():
                entry["use_pickle"] = True
            return json.dumps(config).encode()
        return trap if "/weights/weight_" in name else content

    return rewritten(data, change)


def with_pickled_inputs(data: bytes, trap: bytes) -> bytes:
    return rewritten(data, lambda name, content: trap if name.endswith("model.pt") else content)


def with_pickled_constant(data: bytes, trap: bytes) -> bytes:
    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("model_constants_config.json"):
            return content
        config = json.loads(content)
        config["config"] = {"c": {"path_name": "custom_obj_0", "is_param": False}}
        return json.dumps(config).encode()

    changed = io.BytesIO(rewritten(data, change))
    with zipfile.ZipFile(changed, "a") as added:
        top = added.namelist()[0].partition("/")[0]
        added.writestr(f"{top}/data/constants/custom_obj_0", trap)
    return changed.getvalue()


def with_code_in_a_size(data: bytes, trap: bytes) -> bytes:
    del trap

    def change(name: str, content: bytes) -> bytes:
        if "/models/" not in name:
            return content
        text = content.decode()
        start = text.index('"expr_str": "') + len('"expr_str": "')
        end = text.index('"', start)
        return (text[:start] + "__import__('os').mkdir('/tmp/no')" + text[end:]).encode()

    return rewritten(data, change)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(with_pickled_weight, "PickleRefused", id="a weight"),
        pytest.param(with_pickled_inputs, "PickleRefused", id="the example inputs"),
        pytest.param(with_pickled_constant, "PickleRefused", id="a constant"),
        pytest.param(with_code_in_a_size, "InvalidModel", id="a size that is code"),
    ],
)
def test_code_in_an_archive_is_refused_and_never_run(
    workshop: Any,
    batched: bytes,
    tmp_path: Path,
    damage: Callable[[bytes, bytes], bytes],
    reason: str,
) -> None:
    sprung = tmp_path / "sprung"
    workshop.put(damage(batched, pickle.dumps(Trap(sprung))), "net.pt2")

    summary = workshop.build("net.pt2")

    assert not sprung.exists()
    assert ("Failed", reason) == (summary.outcome, summary.reason), summary.message
    assert summary.message.startswith("load: ")


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_cut_archive_is_refused(workshop: Any, batched: bytes, kept: float) -> None:
    workshop.put(batched[: int(len(batched) * kept)], "net.pt2")

    summary = workshop.build("net.pt2")

    assert ("Failed", "InvalidModel") == (summary.outcome, summary.reason), summary.message


def test_an_archive_of_something_else_is_refused(workshop: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as other:
        other.writestr("readme.txt", "hello")
    workshop.put(buffer.getvalue(), "net.pt2")

    summary = workshop.build("net.pt2")

    assert ("Failed", "InvalidModel") == (summary.outcome, summary.reason), summary.message


def test_an_operator_that_needs_python_code_is_refused(workshop: Any, batched: bytes) -> None:
    def change(name: str, content: bytes) -> bytes:
        if "/models/" not in name:
            return content
        return content.replace(b"torch.ops.aten.relu.default", b"torch.ops.mine.relu.default")

    workshop.put(rewritten(batched, change), "net.pt2")

    summary = workshop.build("net.pt2")

    assert ("Failed", "UnsupportedOperator") == (summary.outcome, summary.reason), summary.message


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("Symbol('s40', positive=True, integer=True)", True),
        ("Max(Integer(1), Symbol('s0', integer=True)) + 2*s1", True),
        ("s0//2 - 1", True),
        ("", True),
        ("__import__('os')", False),
        ("exec('x')", False),
        ("open('x')", False),
        ("Symbol('a').__class__", False),
        ("Symbol('/etc/passwd')", False),
        ("(lambda: 1)()", False),
        ("Symbol('s').func('x')", False),
        ("[1][0]", False),
    ],
)
def test_sizes_are_arithmetic(text: str, allowed: bool) -> None:
    model = {"graph": [{"as_expr": {"expr_str": text}}]}
    if allowed:
        exported_program._check_expressions(model)
        return
    with pytest.raises(BuildError, match="more than arithmetic"):
        exported_program._check_expressions(model)
