"""Where versions are compared: on the accelerator if that can be, and else it is said why not."""

from pathlib import Path

import pytest
from onnx import ModelProto

from dlagent.api.types import DataType, Tensor
from dlagent.build.accelerator import machine as module
from dlagent.build.accelerator.machine import machine
from dlagent.build.machines import ThisProcess
from dlagent.build.network import Network
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
        pytest.param(
            GPU,
            network(1),
            True,
            "Triton is not there: it did not answer within 0 s",
            id="a Triton that does not come",
        ),
    ],
)
def test_why_it_is_in_this_process(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: Target,
    given: Network,
    beside: bool,
    why: str,
) -> None:
    monkeypatch.setattr(module, "READY_SECONDS", 0.1)

    with machine(target, given, tmp_path if beside else None) as found:
        assert isinstance(found, ThisProcess)
        assert why in str(found.lacks)
