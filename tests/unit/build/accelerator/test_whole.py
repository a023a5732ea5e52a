"""What is published where an engine has won: only one that answers as the graph does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper

from dlagent.build.accelerator.whole import NoEngineError, Whole, engine_refused, whole
from dlagent.build.failure import BuildError, MachineGoneError
from dlagent.build.fuse import Fused, fuse
from dlagent.build.machines import ThisProcess
from dlagent.build.network import FREE, Network, inspect
from dlagent.build.runtime import Array, RunError, Session
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.search.candidate import Precision
from tests.unit.build.conftest import make_model
from tests.unit.build.optimisations.quantise_workshop import attention, products

TARGET = {"tritonVersion": "24.10", "accelerator": "nvidia.com/gpu", "acceleratorProduct": "L4"}


@dataclass
class OffBy(Session):
    """Answers that are off by a share of the largest."""

    model: bytes
    share: float
    rows: list[int] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.model)

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        self.rows.append(len(next(iter(feed.values()))))
        answers = super().run(feed)
        return {name: value + self.share * np.abs(value).max() for name, value in answers.items()}

    def close(self) -> None:
        self.closed = True


@dataclass
class Accelerator:
    off_by: float = 0.0
    refuses: Exception | None = None
    lacks: str | None = None
    started: list[OffBy] = field(default_factory=list)

    def plan(self, model: bytes, interface: ModelInterface) -> bytes:
        return b"plan of " + model[:4]

    def start(self, model: bytes, interface: ModelInterface, engine: Engine) -> OffBy:
        if self.refuses is not None:
            raise self.refuses
        whole = any(tensor.name == "probabilities" for tensor in interface.outputs)
        self.started.append(OffBy(model, self.off_by if whole else 0.0))
        return self.started[-1]


def request(**fields: Any) -> BuildRequest:
    return BuildRequest.model_validate(
        {"sourceUri": "pvc://models/net.onnx", "target": TARGET, "maxSourceBytes": 1, **fields}
    )


@pytest.fixture(scope="module")
def network() -> Network:
    return inspect(products())


@pytest.fixture(scope="module")
def fused(network: Network) -> Fused:
    return fuse(network, request(act=[{"softmax": {}}]))


def made(
    machine: Accelerator | ThisProcess,
    engine: Engine,
    network: Network,
    fused: Fused,
    precision: Precision = Precision.FP32,
) -> Whole:
    session = Session(fused.model.SerializeToString())
    with whole(machine, engine, precision, network, fused, session) as found:
        return found


def test_without_an_accelerator_the_graph_is_published_as_it_is(
    network: Network, fused: Fused
) -> None:
    found = made(ThisProcess("a CPU"), Engine.ONNX_RUNTIME, network, fused)

    graph = fused.model.SerializeToString(deterministic=True)
    assert graph == found.network
    assert fused.interface == found.interface


@pytest.mark.parametrize(
    ("engine", "starts", "max_batch", "rows"),
    [
        (Engine.ONNX_RUNTIME, b"", None, [1, 8]),
        (Engine.TENSORRT, b"plan of ", 64, [1, 8, 64]),
    ],
)
def test_on_an_accelerator_it_is_run_beside_the_network_that_was_judged(
    network: Network,
    fused: Fused,
    engine: Engine,
    starts: bytes,
    max_batch: int | None,
    rows: list[int],
) -> None:
    """In batches of all sizes that it is made for; and what ran is freed."""
    machine = Accelerator()

    found = made(machine, engine, network, fused)

    assert found.network.startswith(starts)
    assert max_batch == found.interface.max_batch
    assert [rows, rows] == [runner.rows for runner in machine.started]
    assert all(runner.closed for runner in machine.started)


def test_a_network_without_batches_has_no_largest_one() -> None:
    network = inspect(_one_row())
    fused = fuse(network, request())

    found = made(Accelerator(), Engine.TENSORRT, network, fused)

    assert found.interface.max_batch is None


def _one_row() -> ModelProto:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return make_model(nodes, {"x": [1, 4]}, {"y": [1, 4]}, {"w": np.eye(4)})


@pytest.mark.parametrize(
    ("precision", "off_by"),
    [
        pytest.param(Precision.FP32, 0.001, id="FP32 in another order"),
        pytest.param(Precision.FP16, 0.01, id="FP16"),
        pytest.param(Precision.INT8, 0.02, id="INT8"),
    ],
)
def test_answers_may_be_off_by_what_the_precision_allows(
    network: Network, fused: Fused, precision: Precision, off_by: float
) -> None:
    made(Accelerator(off_by), Engine.TENSORRT, network, fused, precision)
    with pytest.raises(NoEngineError):
        made(Accelerator(off_by * 10), Engine.TENSORRT, network, fused, precision)


@pytest.mark.parametrize(
    ("machine", "engine", "error", "said"),
    [
        pytest.param(
            Accelerator(off_by=0.5),
            Engine.TENSORRT,
            NoEngineError,
            "around the network, the output probabilities differs from the source by",
            id="an engine that answers otherwise",
        ),
        pytest.param(
            Accelerator(refuses=RunError("TensorRT makes no engine of it: no Resize")),
            Engine.TENSORRT,
            NoEngineError,
            "around the network, TensorRT makes no engine of it: no Resize",
            id="steps that TensorRT refuses",
        ),
        pytest.param(
            Accelerator(off_by=0.5),
            Engine.ONNX_RUNTIME,
            BuildError,
            "on the accelerator ONNX Runtime does not do as on the CPU",
            id="ONNX Runtime answers otherwise there",
        ),
        pytest.param(
            Accelerator(refuses=MachineGoneError("Triton has gone")),
            Engine.TENSORRT,
            MachineGoneError,
            "Triton has gone",
            id="it is nobody's fault",
        ),
    ],
)
def test_what_will_not_do_is_not_published(
    network: Network,
    fused: Fused,
    machine: Accelerator,
    engine: Engine,
    error: type[Exception],
    said: str,
) -> None:
    with pytest.raises(error, match=said):
        made(machine, engine, network, fused)

    assert all(runner.closed for runner in machine.started)


@pytest.mark.parametrize(
    ("machine", "fields", "expected"),
    [
        pytest.param(Accelerator(), {}, None, id="an engine is made"),
        pytest.param(
            Accelerator(refuses=RunError("no Resize")),
            {},
            "with perceive and act around the network, no Resize",
            id="none is made",
        ),
        pytest.param(
            Accelerator(refuses=RunError("it was asked")),
            {"engine": "ONNXRuntime"},
            None,
            id="nobody wants one, so it is not asked",
        ),
        pytest.param(
            Accelerator(refuses=RunError("it was asked")),
            {"target": {"tritonVersion": "24.10", "accelerator": "nvidia.com/gpu"}},
            None,
            id="nobody knows which kind, so it is not asked",
        ),
        pytest.param(
            Accelerator(refuses=RunError("it was asked"), lacks="no Triton"),
            {},
            None,
            id="nobody could make one",
        ),
    ],
)
def test_it_is_asked_once_whether_engines_can_be_made(
    network: Network, machine: Accelerator, fields: dict[str, Any], expected: str | None
) -> None:
    assert expected == engine_refused(machine, request(**fields), network, lambda _: None)


def test_an_engine_needs_sizes() -> None:
    network = inspect(attention())
    assert any(FREE in tensor.shape for tensor in network.inputs)

    refused = engine_refused(Accelerator(), request(), network, lambda _: None)

    assert refused is not None
    assert "has a free axis beside the batch: declare its size in spec.model.inputs" in refused


def test_a_machine_that_goes_ends_the_build(network: Network) -> None:
    machine = Accelerator(refuses=MachineGoneError("gone"))
    with pytest.raises(MachineGoneError):
        engine_refused(machine, request(), network, lambda _: None)
