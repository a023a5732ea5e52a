"""What is published where an engine has won: only one that answers as the graph does."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from dlagent.build.accelerator.whole import Whole, whole
from dlagent.build.failure import BuildError
from dlagent.build.network import Network, inspect
from dlagent.build.runtime import Array, RunError, Session
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.summary import FailureReason
from dlagent.domain.search.candidate import Candidate, Precision
from tests.unit.build.optimisations.quantise_workshop import products

GRAPH = products().SerializeToString()


@dataclass
class OffBy(Session):
    """Answers that are off by a share of themselves."""

    share: float
    closed: bool = False

    def __post_init__(self) -> None:
        super().__init__(GRAPH)

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        return {name: value * (1 + self.share) for name, value in super().run(feed).items()}

    def close(self) -> None:
        self.closed = True


@dataclass
class Accelerator:
    off_by: float = 0.0
    refuses: str | None = None
    lacks: str | None = None
    started: list[OffBy] = field(default_factory=list)

    def plan(self, model: bytes, interface: ModelInterface) -> bytes:
        if self.refuses is not None:
            raise RunError(self.refuses)
        return b"plan of " + model[:4]

    def start(self, model: bytes, interface: ModelInterface, engine: Engine) -> OffBy:
        assert engine is Engine.TENSORRT
        self.started.append(OffBy(self.off_by))
        return self.started[-1]


def candidate(engine: Engine, precision: Precision = Precision.FP32) -> Candidate:
    return Candidate(name="it", optimisation="any", precision=precision, engine=engine)


@pytest.fixture(scope="module")
def network() -> Network:
    return inspect(products())


def made(network: Network, machine: Accelerator, chosen: Candidate) -> Whole:
    return whole(machine, chosen, network, GRAPH, network.interface, Session(GRAPH))


def test_the_graph_is_published_where_onnx_runtime_has_won(network: Network) -> None:
    machine = Accelerator(refuses="never asked")

    found = made(network, machine, candidate(Engine.ONNX_RUNTIME))

    assert Whole(GRAPH, network.interface, Engine.ONNX_RUNTIME) == found


@pytest.mark.parametrize(
    ("precision", "off_by"),
    [
        pytest.param(Precision.FP32, 0.0, id="the same answers"),
        pytest.param(Precision.FP32, 0.005, id="FP32 in another order, or TF32"),
        pytest.param(Precision.FP16, 0.015, id="FP16"),
        pytest.param(Precision.INT8, 0.04, id="INT8"),
    ],
)
def test_an_engine_is_published_that_answers_as_its_precision_allows(
    network: Network, precision: Precision, off_by: float
) -> None:
    machine = Accelerator(off_by)

    found = made(network, machine, candidate(Engine.TENSORRT, precision))

    assert (b"plan of " + GRAPH[:4], Engine.TENSORRT) == (found.network, found.engine)
    assert 64 == found.interface.max_batch
    assert [True] == [runner.closed for runner in machine.started]


@pytest.mark.parametrize(
    ("machine", "reason", "said"),
    [
        pytest.param(
            Accelerator(off_by=0.2),
            FailureReason.PARITY_FAILED,
            "TensorRT answers otherwise than ONNX Runtime, output y: value 0 is",
            id="other answers",
        ),
        pytest.param(
            Accelerator(refuses="it has no Resize"),
            FailureReason.UNSUPPORTED_OPERATOR,
            "it does not run with perceive and act around it: it has no Resize; set"
            " spec.build.engine: ONNXRuntime",
            id="steps that it refuses",
        ),
    ],
)
def test_an_engine_that_will_not_do_fails_the_build(
    network: Network, machine: Accelerator, reason: FailureReason, said: str
) -> None:
    with pytest.raises(BuildError) as raised:
        made(network, machine, candidate(Engine.TENSORRT))

    assert reason is raised.value.reason
    assert said in raised.value.message
