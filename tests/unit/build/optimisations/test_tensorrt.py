"""TensorRT: whose graphs are tried as engines, and which of them it takes. It needs no GPU."""

from typing import Any

import pytest
from onnx import ModelProto

from dlagent.build.optimisations.base import Optimisation
from dlagent.build.optimisations.dynamic_int8 import DynamicInt8
from dlagent.build.optimisations.fp16 import Fp16
from dlagent.build.optimisations.fp32 import Fp32
from dlagent.build.optimisations.static_int8 import StaticInt8
from dlagent.build.optimisations.tensorrt import TensorRt
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.search.candidate import TENSORRT, Candidate, Precision
from tests.unit.build.optimisations.quantise_workshop import (
    PRUNED,
    QuantiseWorkshop,
    attention,
    candidate,
    convolutions,
    facts,
    planned,
    products,
    reasons,
)
from tests.unit.build.optimisations.tensorrt_rtx import refusal

GPU: dict[str, Any] = {"accelerator": "nvidia.com/gpu", "product": "NVIDIA-A100-SXM4-40GB"}
BEFORE: tuple[Optimisation, ...] = (Fp32(), StaticInt8(), DynamicInt8(), Fp16())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({}, "TensorRT runs on NVIDIA GPUs", id="a CPU"),
        pytest.param(
            GPU | {"accelerator_lacks": "the accelerator is simulated"},
            "it could not be made on nvidia.com/gpu: the accelerator is simulated",
            id="a GPU that nothing can be compared on",
        ),
        pytest.param(
            GPU | {"engine": Engine.ONNX_RUNTIME},
            "spec.build.engine allows ONNX Runtime only",
            id="the user wants none",
        ),
        pytest.param(
            GPU | {"product": None},
            "say which one in spec.serving.nodeSelector, such as nvidia.com/gpu.product",
            id="replicas may have several kinds of GPU",
        ),
        pytest.param(
            GPU | {"engine_refused": "it has no Resize"},
            "it has no Resize",
            id="perceive or act is refused",
        ),
    ],
)
def test_it_is_skipped_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    assert [] == planned(TensorRt(), products(), **changes)
    assert reason in reasons(TensorRt(), products(), **changes)[TENSORRT]


def engines(**changes: Any) -> list[Candidate]:
    """Of a build that has pruned a network, and may make engines of it."""
    known = facts(products(), **GPU, **changes)
    before: list[Candidate] = [PRUNED]
    for optimisation in BEFORE:
        before += optimisation.plan(known, before).candidates
    return list(TensorRt().plan(known, before).candidates)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {},
            [
                "fp32+tensorrt",
                "int8-s8s8-minmax+tensorrt",
                "int8-s8s8-entropy+tensorrt",
                "pruned-50+int8-s8s8-minmax+tensorrt",
                "fp16+tensorrt",
                "pruned-50+fp16+tensorrt",
            ],
            id="the source, what is less precise, and what it takes of INT8",
        ),
        pytest.param(
            {"precision": Precision.FP32},
            ["pruned-50+tensorrt", "fp32+tensorrt"],
            id="FP32 where nothing else is allowed",
        ),
        pytest.param(
            {"calibrate_examples": 0},
            ["pruned-50+tensorrt", "fp32+tensorrt"],
            id="FP32 where there is nothing to judge others by",
        ),
    ],
)
def test_engines_are_made_of_what_is_planned_before(
    changes: dict[str, Any], expected: list[str]
) -> None:
    assert expected == [each.name for each in engines(**changes)]


def test_an_engine_is_what_its_base_is_but_for_what_runs_it() -> None:
    found = {each.name: each for each in engines()}

    assert {Engine.TENSORRT} == {each.engine for each in found.values()}
    pruned = found["pruned-50+fp16+tensorrt"]
    assert ("pruned-50+fp16", Precision.FP16, True) == (
        pruned.base,
        pruned.precision,
        pruned.trained,
    )
    assert "pruned-75+fp16+tensorrt" == pruned.smaller


@pytest.mark.parametrize(("name", "base"), [("fp32+tensorrt", None), ("fp16+tensorrt", "fp16")])
def test_its_graph_is_that_of_its_base(name: str, base: str | None) -> None:
    changes = {"precision": Precision.FP32} if base is None else {}
    engine = next(each for each in engines(**changes) if each.name == name)
    workshop = QuantiseWorkshop(products())
    expected = products()
    if base is not None:
        expected = workshop.make(Fp16(), candidate(Fp16(), products(), base, **GPU)).model

    assert expected == workshop.make(TensorRt(), engine).model


def int8(model: ModelProto, name: str) -> ModelProto:
    return QuantiseWorkshop(model).make(StaticInt8(), candidate(StaticInt8(), model, name)).model


def shapes(model: ModelProto) -> list[dict[str, list[int]]]:
    """The smallest, the usual and the largest; free axes beside the batch have one size."""
    (value,) = model.graph.input
    _, *rest = (dim.dim_value or 6 for dim in value.type.tensor_type.shape.dim)
    return [{value.name: [batch, *rest]} for batch in (1, 8, 32)]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(convolutions(), id="convolutions"),
        pytest.param(attention(), id="a transformer's layer"),
    ],
)
def test_it_takes_fp16(model: ModelProto) -> None:
    half = QuantiseWorkshop(model).make(Fp16(), candidate(Fp16(), model, "fp16", **GPU)).model
    assert refusal(half, shapes(half)) is None


def test_it_takes_a_network_in_fp32() -> None:
    assert refusal(convolutions(), shapes(convolutions())) is None


@pytest.mark.parametrize("name", ["int8-s8s8-minmax", "int8-s8s8-entropy"])
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(convolutions(), id="convolutions"),
        pytest.param(attention(), id="a transformer's layer"),
    ],
)
def test_it_takes_symmetric_int8_with_biases_in_fp32(model: ModelProto, name: str) -> None:
    quantised = int8(model, name)
    assert refusal(quantised, shapes(quantised)) is None


def test_it_refuses_biases_of_32_bits() -> None:
    quantised = int8(convolutions(), "int8-u8s8-minmax")
    refused = refusal(quantised, shapes(quantised))
    assert refused is not None
    assert "input has type Int32 but must have type" in refused
