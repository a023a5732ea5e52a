"""FP16 is tried where versions are compared on an accelerator; elsewhere it is said why not."""

import dataclasses
from typing import Any

import pytest
from onnx import ModelProto, TensorProto

from dlagent.build.optimisations.fp16 import NAME, Fp16
from dlagent.build.optimisations.static_int8 import StaticInt8
from dlagent.domain.search.candidate import Candidate, Precision
from tests.unit.build.optimisations.quantise_workshop import (
    PRUNED,
    QuantiseWorkshop,
    attention,
    candidate,
    convolutions,
    facts,
    first_axis,
    planned,
    products,
    reasons,
)

GPU: dict[str, Any] = {"accelerator": "nvidia.com/gpu"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({}, "there FP16 is converted to FP32 and back", id="a CPU"),
        pytest.param(
            GPU | {"accelerator_lacks": "Triton is not there"},
            "it could not be compared on nvidia.com/gpu: Triton is not there",
            id="a GPU that nothing can be compared on",
        ),
        pytest.param(GPU | {"precision": Precision.INT8}, "allows INT8 only", id="INT8 only"),
        pytest.param(GPU | {"calibrate_examples": 0}, "set spec.build.dataset", id="no data"),
        pytest.param(
            GPU | {"operators": {"MatMul": 1, "QuantizeLinear": 1}},
            "computes in INT8 already",
            id="a source in INT8",
        ),
    ],
)
def test_it_is_skipped_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    assert [] == planned(Fp16(), products(), **changes)
    assert reason in reasons(Fp16(), products(), **changes)[NAME]


def test_it_is_made_of_the_source_and_of_other_networks() -> None:
    """Who waits for a smaller one does so in FP16 too; INT8 is no base for it."""
    quantised = candidate(StaticInt8(), products(), "int8-s8s8-minmax", **GPU)

    found = Fp16().plan(facts(products(), **GPU), (PRUNED, quantised)).candidates

    assert ["fp16", "pruned-50+fp16"] == [each.name for each in found]
    assert [None, "pruned-75+fp16"] == [each.smaller for each in found]
    assert {Precision.FP16} == {each.precision for each in found}
    assert [False, True] == [each.trained for each in found]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(convolutions(), id="convolutions"),
        pytest.param(products(), id="matrix products"),
        pytest.param(attention(), id="a transformer's layer"),
    ],
)
def test_answers_stay_and_weights_have_16_bits(model: ModelProto) -> None:
    workshop = QuantiseWorkshop(model)
    half = workshop.make(Fp16(), _half()).model

    assert workshop.error(half) < 0.01
    assert first_axis(model) == first_axis(half)
    before, after = (
        [value.type.tensor_type.elem_type for value in (*net.graph.input, *net.graph.output)]
        for net in (model, half)
    )
    assert before == after
    floats = [w for w in half.graph.initializer if w.data_type == TensorProto.FLOAT16]
    assert floats
    assert half.ByteSize() < 0.7 * model.ByteSize()


def test_the_same_source_makes_the_same_bytes() -> None:
    first, second = (QuantiseWorkshop(convolutions()).make(Fp16(), _half()) for _ in range(2))

    assert first.model.SerializeToString(deterministic=True) == second.model.SerializeToString(
        deterministic=True
    )


def _half() -> Candidate:
    (found,) = Fp16().plan(dataclasses.replace(facts(products()), **GPU), ()).candidates
    return found
