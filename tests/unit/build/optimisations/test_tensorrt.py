"""TensorRT: skipped in builds, and asked here which of our graphs it takes. It needs no GPU."""

import pytest
from onnx import ModelProto

from dlagent.build.optimisations.static_int8 import StaticInt8
from dlagent.build.optimisations.tensorrt import NAME, TensorRt, refusal
from tests.unit.build.optimisations.quantise_workshop import (
    QuantiseWorkshop,
    attention,
    candidate,
    convolutions,
    planned,
    products,
    reasons,
)


@pytest.mark.parametrize(
    ("accelerator", "reason"),
    [
        pytest.param("cpu", "TensorRT runs on NVIDIA GPUs", id="a CPU"),
        pytest.param("nvidia.com/gpu", "could not compare it on nvidia.com/gpu", id="a GPU"),
    ],
)
def test_it_is_skipped_with_the_reason(accelerator: str, reason: str) -> None:
    assert [] == planned(TensorRt(), products(), accelerator=accelerator)
    assert reason in reasons(TensorRt(), products(), accelerator=accelerator)[NAME]


def int8(model: ModelProto, name: str) -> ModelProto:
    return QuantiseWorkshop(model).make(StaticInt8(), candidate(StaticInt8(), model, name)).model


def test_it_takes_a_network_in_fp32() -> None:
    assert refusal(convolutions(), free_size=6) is None


@pytest.mark.parametrize("name", ["int8-s8s8-minmax", "int8-s8s8-entropy"])
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(convolutions(), id="convolutions"),
        pytest.param(attention(), id="a transformer's layer"),
    ],
)
def test_it_takes_symmetric_int8_with_biases_in_fp32(model: ModelProto, name: str) -> None:
    assert refusal(int8(model, name), free_size=6) is None


def test_it_refuses_biases_of_32_bits() -> None:
    refused = refusal(int8(convolutions(), "int8-u8s8-minmax"), free_size=6)
    assert refused is not None
    assert "input has type Int32 but must have type" in refused
