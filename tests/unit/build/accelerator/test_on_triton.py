"""Where versions are compared: on the accelerator if that can be, and else it is said why not."""

from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto

from dlagent.adapters.trial_server import TrialServerError
from dlagent.api.types import DataType, Tensor
from dlagent.build.accelerator import on_triton as module
from dlagent.build.accelerator.on_triton import OnTriton, machine
from dlagent.build.failure import MachineGoneError
from dlagent.build.machines import ThisProcess
from dlagent.build.network import Network
from dlagent.build.runtime import RunError
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.request import Simulated, Target

GPU = Target(triton_version="24.10", accelerator="nvidia.com/gpu")
ROW = Tensor(name="x", data_type=DataType.FP32, shape=[4])


def network(*shape: int) -> Network:
    score = Tensor(name="score", data_type=DataType.FP32, shape=list(shape))
    return Network(ModelProto(), [ROW], [score], batched=True, free_size=1)


@pytest.mark.parametrize(
    ("target", "given", "beside", "why"),
    [
        pytest.param(
            GPU.model_copy(update={"accelerator": "cpu"}),
            network(1),
            True,
            "the agent is served on a CPU",
            id="no accelerator",
        ),
        pytest.param(
            GPU.model_copy(
                update={"simulated": Simulated(base_milliseconds=1, per_item_milliseconds=1)}
            ),
            network(1),
            True,
            "the accelerator is simulated",
            id="one that is simulated is as fast for all",
        ),
        pytest.param(
            GPU, network(), True, "score has one value an example", id="Triton has no scalars"
        ),
        pytest.param(
            GPU, network(1), False, "there is no Triton beside this build", id="no Triton"
        ),
    ],
)
def test_why_it_is_in_this_process(
    tmp_path: Path,
    target: Target,
    given: Network,
    beside: bool,
    why: str,
) -> None:
    with machine(target, given, tmp_path if beside else None, 600) as found:
        assert isinstance(found, ThisProcess)
        assert why in str(found.lacks)


def test_a_triton_that_does_not_come_is_no_reason_to_let_a_cpu_choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a CPU would choose would be published under the accelerator's key for good."""
    monkeypatch.setattr(module, "READY_SECONDS", 0.1)

    with pytest.raises(MachineGoneError) as raised, machine(GPU, network(1), tmp_path, 600):
        pass

    said = "the Triton beside the build does not run the network on nvidia.com/gpu: it did not"
    assert f"{said} answer within 0 s" in str(raised.value)


class FakeServer:
    """Refuses to load anything; whether it still has what it had is told."""

    def __init__(self, has_all: bool) -> None:
        self._has_all = has_all

    def load(self, model: str, files: object) -> None:
        raise TrialServerError("out of memory")

    def has_all(self) -> bool:
        return self._has_all

    def has(self, model: str) -> bool:
        return False


@pytest.mark.parametrize(
    ("has_all", "error"),
    [
        pytest.param(True, RunError, id="the network is at fault"),
        pytest.param(False, MachineGoneError, id="Triton died of it, or began anew"),
    ],
)
def test_who_is_blamed_for_what_triton_refuses(
    tmp_path: Path, has_all: bool, error: type[Exception]
) -> None:
    server: Any = FakeServer(has_all)
    found = OnTriton(server, tmp_path, GPU, 60)

    with pytest.raises(error, match="out of memory"):
        found.start(b"network", network(1).interface, Engine.ONNX_RUNTIME)


def test_a_disk_without_room_fails_one_candidate(tmp_path: Path) -> None:
    server: Any = FakeServer(has_all=True)
    found = OnTriton(server, tmp_path / "missing", GPU, 60)

    with pytest.raises(RunError, match="there is no room for an engine"):
        found.plan(b"network", network(1).interface)
