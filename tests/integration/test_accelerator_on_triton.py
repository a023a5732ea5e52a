"""A build for an accelerator, on the real Triton: what is compared there, as what it is published.

There is no GPU here. Triton runs networks on the CPU; trtexec and Triton's TensorRT backend are
stand-ins (tests/integration/tensorrt), the first of which asks TensorRT's own parser and builder.
"""

import hashlib
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper

from dlagent.adapters.store import FolderStore
from dlagent.adapters.trial_server import TrialServer
from dlagent.api.types import DataType, Serving, Slo, Tensor
from dlagent.build import pipeline
from dlagent.build.accelerator.on_triton import OnTriton, machine
from dlagent.build.failure import MachineGoneError
from dlagent.build.machines import Machine
from dlagent.build.measure import Measured, Subject
from dlagent.build.measure import measure as measure_on
from dlagent.build.network import Network, inspect
from dlagent.build.optimisations.static_int8 import StaticInt8
from dlagent.build.pipeline import build
from dlagent.build.places import Places
from dlagent.build.progress import Progress
from dlagent.build.repository import repository
from dlagent.build.runtime import Answering, RunError, Session
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.ensemble import render
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.report import Report, Verdict
from dlagent.domain.artifact.request import BuildRequest, Scripts, Simulated, Target
from dlagent.domain.artifact.selfcheck import compare, golden_input
from dlagent.domain.artifact.summary import Outcome, Summary
from dlagent.domain.artifact.triton_config import serving_plan
from dlagent.domain.tuning.server import socket_arguments
from dlagent_local import recipes, standalone
from dlagent_local.cache import ensure
from dlagent_local.paths import REPOSITORY, cache_folder
from tests.unit.build.conftest import make_model
from tests.unit.build.optimisations.quantise_workshop import (
    QuantiseWorkshop,
    candidate,
    convolutions,
)
from tests.unit.build.test_optimise import classifier, examples

STANDINS = Path(__file__).parent / "tensorrt"
# Triton here has no GPU: so, networks are put on the CPU. In ONNX Runtime a batch then takes 20 ms.
ON_CPU = Target(
    triton_version="24.10",
    accelerator="nvidia.com/gpu",
    simulated=Simulated(base_milliseconds=20, per_item_milliseconds=0),
)
INTERFACE = ModelInterface(
    inputs=[Tensor(name="x", data_type=DataType.FP32, shape=[16])],
    outputs=[Tensor(name="scores", data_type=DataType.FP32, shape=[3])],
    batched=True,
)
PICTURES = ModelInterface(
    inputs=[Tensor(name="x", data_type=DataType.FP32, shape=[1, 8, 8])],
    outputs=[Tensor(name="y", data_type=DataType.FP32, shape=[5])],
    batched=True,
)
ROWS = np.random.default_rng(3).normal(size=(150, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that is shared with a Triton that has, or seems to have, TensorRT."""
    root = tmp_path_factory.mktemp("tensorrt")
    installed = ensure(recipes.triton(), cache_folder(), lambda _message, _done: None)
    backends, models, programs = (root / name for name in ("backends", "models", "programs"))
    shutil.copytree(installed / "backends", backends)
    shutil.copytree(backends / "onnxruntime", backends / "tensorrt")
    shutil.move(backends / "tensorrt/model.py", backends / "tensorrt/onnxruntime_backend.py")
    shutil.copy(STANDINS / "backend.py", backends / "tensorrt/model.py")
    models.mkdir()
    programs.mkdir()
    _write_program(programs / "trtexec")
    arguments = (*socket_arguments(models), "--allow-http=true", "--allow-grpc=true")
    directory = f"--backend-directory={backends}"
    with standalone.triton(models, root / "log", *arguments, directory, programs=programs):
        yield models


def _write_program(path: Path) -> None:
    """In an environment of its own: Triton's is for another Python."""
    paths = ":".join(str(REPOSITORY / each) for each in ("operator", "."))
    command = shlex.join([sys.executable, str(STANDINS / "trtexec.py")])
    path.write_text(f'#!/bin/sh\nexec env -i PYTHONPATH={shlex.quote(paths)} {command} "$@"\n')
    path.chmod(0o755)


@contextmanager
def started(folder: Path, target: Target = ON_CPU) -> Iterator[OnTriton]:
    with TrialServer(folder) as server:
        server.wait(60)
        yield OnTriton(server, folder, target, engine_seconds=120)


def quantised(name: str) -> ModelProto:
    """The network of PICTURES, by a scheme of static INT8."""
    model = convolutions()
    return QuantiseWorkshop(model).make(StaticInt8(), candidate(StaticInt8(), model, name)).model


def network(seed: int = 0) -> bytes:
    weights = {"w": np.random.default_rng(seed).normal(size=(16, 3))}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["scores"])]
    model = make_model(nodes, {"x": ["batch", 16]}, {"scores": ["batch", 3]}, weights)
    return model.SerializeToString()


def test_where_the_gpu_is_missing_nothing_is_built(folder: Path) -> None:
    """The one thing here that is as it is on a machine without one."""
    target = ON_CPU.model_copy(update={"simulated": None})

    with (
        pytest.raises(MachineGoneError) as raised,
        machine(target, inspect(classifier()), folder, 600),
    ):
        pass

    said = str(raised.value)
    assert "does not run the network on nvidia.com/gpu: load failed for model 'version1'" in said
    assert "has kind KIND_GPU but no GPUs are available" in said


@pytest.mark.parametrize("engine", list(Engine))
def test_a_network_there_answers_as_here(folder: Path, engine: Engine) -> None:
    """More rows than a batch has are asked for in several."""
    with started(folder) as machine:
        runner = machine.start(network(), INTERFACE, engine)

        answer = runner.run({"x": ROWS})

    expected = Session(network()).run({"x": ROWS})
    np.testing.assert_allclose(answer["scores"], expected["scores"], rtol=1e-5)


def test_times_are_those_of_the_batch_without_the_way_there(folder: Path) -> None:
    with started(folder) as machine:
        slow = machine.start(network(), INTERFACE, Engine.ONNX_RUNTIME)
        fast = machine.start(network(1), INTERFACE, Engine.TENSORRT)

        assert 20 <= slow.milliseconds({"x": ROWS[:8]}, 3) < 60
        assert 0 < fast.milliseconds({"x": ROWS[:8]}, 3) < 20


def test_one_that_is_closed_is_served_no_longer_and_leaves_nothing(folder: Path) -> None:
    with started(folder) as machine:
        runner = machine.start(network(), INTERFACE, Engine.ONNX_RUNTIME)
        assert (folder / runner.name).is_dir()
        runner.close()
        assert not (folder / runner.name).exists()

        with pytest.raises(RunError, match="unknown model"):
            runner.run({"x": ROWS[:1]})


def test_what_tensorrt_refuses_is_told_in_its_words(folder: Path) -> None:
    model = quantised("int8-u8s8-minmax")
    said = r"TensorRT makes no engine of it: .*input has type Int32 but must have type"
    with started(folder) as machine, pytest.raises(RunError, match=said):
        machine.plan(model.SerializeToString(), PICTURES)


def test_an_engine_is_made_once_for_a_graph(folder: Path) -> None:
    with started(folder) as machine:
        made = machine.plan(network(2), INTERFACE)
        shutil.rmtree(folder / "trtexec_")

        assert made == machine.plan(network(2), INTERFACE)
        assert [] == [*folder.glob("*.onnx"), *folder.glob("*.part")]


def run_build(folder: Path, root: Path, **fields: Any) -> tuple[Summary, Path]:
    """Of an agent whose replicas all have one kind of GPU; and the artifact's folder."""
    claim = root / "sources/models"
    claim.mkdir(parents=True)
    data = examples()
    (claim / "net.onnx").write_bytes(classifier().SerializeToString())
    (claim / "examples.npz").write_bytes(data)
    dataset = {"uri": "pvc://models/examples.npz", "sha256": hashlib.sha256(data).hexdigest()}
    target = {
        "tritonVersion": "24.10",
        "accelerator": "nvidia.com/gpu",
        "acceleratorProduct": "NVIDIA-A100-SXM4-40GB",
    }
    request = BuildRequest.model_validate(
        {
            "sourceUri": "pvc://models/net.onnx",
            "target": target,
            "maxSourceBytes": 10**8,
            "perceive": [{"scale": {"multiply": "0.1"}}],
            "optimise": {"dataset": dataset, "metric": "Accuracy", "maxDrop": "3", "epochs": 1},
            **fields,
        }
    )

    @contextmanager
    def machine(
        wanted: Target, source: Network, trials: Path | None, search_seconds: float
    ) -> Iterator[Machine]:
        assert 1800 == search_seconds
        assert target["acceleratorProduct"] == wanted.accelerator_product
        assert INTERFACE == source.interface
        assert folder == trials
        with started(folder) as found:
            yield found

    def measure(
        subject: Subject, agent: Answering, wanted: Target, trials: Path | None
    ) -> Measured:
        assert wanted.simulated is None
        return measure_on(subject, agent, ON_CPU, trials)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "machine_for", machine)
        patch.setattr(pipeline, "measure", measure)
        places = Places(root / "sources", FolderStore(root / "store"), root, trials=folder)
        summary = build(request, places, Progress(lambda *_: None))
    assert summary.outcome is Outcome.PUBLISHED, summary.message
    return summary, root / f"store/artifacts/{summary.key}"


@pytest.fixture(scope="module")
def built(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Path]:
    return run_build(folder, tmp_path_factory.mktemp("build"), act=[{"softmax": {}}])


def test_the_fastest_on_the_accelerator_is_published_as_an_engine(
    built: tuple[Summary, Path],
) -> None:
    summary, artifact = built

    assert Engine.TENSORRT == summary.engine
    report = Report.model_validate_json((artifact / "report.json").read_bytes())
    assert report.chosen.endswith("+tensorrt")
    assert str(report.tau_measured).startswith("measured on Triton 2.")
    assert (artifact / "model/1/model.plan").is_file()
    assert not (artifact / "model/1/model.onnx").exists()
    manifest = Manifest.model_validate_json((artifact / "manifest.json").read_bytes())
    assert 64 == manifest.interface.max_batch
    assert 'backend: "tensorrt"' in (artifact / "model/config.pbtxt").read_text()


def test_what_is_published_serves(built: tuple[Summary, Path], folder: Path) -> None:
    """As the operator has it served, but for the GPU; and it answers as the build says."""
    summary, artifact = built
    assert summary.interface is not None
    assert summary.self_check is not None
    slo = Slo.model_validate({"latency": {"thresholdMilliseconds": 500}})
    serving = Serving.model_validate({"accelerator": {"resource": "nvidia.com/gpu"}})
    plan = serving_plan(summary.tau, serving, slo, summary.interface)
    configs = render(summary.interface, plan, Engine.TENSORRT, ON_CPU.simulated)
    with TrialServer(folder) as server:
        server.wait(60)
        content = (artifact / "model/1/model.plan").read_bytes()
        server.load("agent", repository(content, configs, Scripts(), Engine.TENSORRT))
        check = summary.self_check
        answer = server.infer(
            "agent", {tensor.name: golden_input(check.seed, tensor) for tensor in check.inputs}
        )

    assert compare(check, answer) is None


def test_the_report_says_where_versions_were_compared(built: tuple[Summary, Path]) -> None:
    _, artifact = built
    report = Report.model_validate_json((artifact / "report.json").read_bytes())

    assert "NVIDIA-A100-SXM4-40GB" == report.machine["comparedOn"]
    told = {each.name: each.verdict for each in report.candidates}
    assert {"fp16", "fp16+tensorrt", "int8-s8s8-minmax+tensorrt"} <= told.keys()
    assert told["fp32"] is Verdict.SLOWER


def test_steps_that_tensorrt_refuses_leave_onnx_runtime(folder: Path, tmp_path: Path) -> None:
    """It has no text: a label is none of its types."""
    labels = {"labels": {"values": ["red", "green", "blue"]}}

    summary, _ = run_build(folder, tmp_path, act=[{"argmax": {}}, labels])

    assert Engine.ONNX_RUNTIME == summary.engine
    assert summary.no_tensorrt is not None
    assert "TensorRT makes no engine of it: " in summary.no_tensorrt


def test_python_steps_are_around_an_engine(folder: Path, tmp_path: Path) -> None:
    outputs = [{"name": "best", "dataType": "INT64", "shape": [1]}]
    step = {"python": {"configMapRef": {"name": "c", "key": "k"}, "outputs": outputs}}
    script = "def step(inputs):\n    return {'best': inputs['scores'].argmax(axis=1)[:, None]}\n"

    summary, artifact = run_build(folder, tmp_path, act=[step], scripts={"act": script})

    assert Engine.TENSORRT == summary.engine
    assert (artifact / "decide_/1/model.plan").is_file()
    assert summary.interface is not None
    assert 64 == summary.interface.max_batch
    report = Report.model_validate_json((artifact / "report.json").read_bytes())
    assert str(report.tau_measured).startswith("measured on Triton 2.")
