"""Dynamic INT8 of matrix products, and of nothing else."""

from typing import Any

import pytest
from onnx import ModelProto, numpy_helper

from dlagent.build.cpu import instruction_set
from dlagent.build.onnx_graph import operator_counts
from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.dynamic_int8 import NAME, DynamicInt8
from dlagent.build.optimisations.transformer import FUSED, Fusion
from dlagent.domain.search.candidate import Precision
from tests.unit.build.optimisations.quantise_workshop import (
    PRUNED,
    QuantiseWorkshop,
    attention,
    candidate,
    convolutions,
    domains,
    facts,
    first_axis,
    planned,
    products,
    reasons,
)

OPTIMISATION = DynamicInt8()


@pytest.mark.parametrize(
    ("model", "changes", "reason"),
    [
        pytest.param(
            convolutions(),
            {},
            "2 convolutions, beside 1 matrix products",
            id="convolutions would be slower",
        ),
        pytest.param(products(), {"operators": {"Relu": 1}}, "no matrix product", id="no product"),
        pytest.param(
            products(),
            {"precision": Precision.FP32},
            "spec.build.precision allows FP32 only",
            id="the user wants FP32",
        ),
        pytest.param(
            products(),
            {"calibrate_examples": 0},
            "set spec.build.dataset",
            id="nothing to judge by",
        ),
        pytest.param(
            products(),
            {"operators": {"MatMul": 2, "QuantizeLinear": 3}},
            "INT8 already",
            id="the source is INT8",
        ),
        pytest.param(
            products(),
            {"accelerator": "nvidia.com/gpu"},
            "ranges are found at each call on CPUs only",
            id="an accelerator",
        ),
    ],
)
def test_what_cannot_be_is_skipped_with_the_reason(
    model: ModelProto, changes: dict[str, Any], reason: str
) -> None:
    assert [] == planned(OPTIMISATION, model, **changes)
    assert reason in reasons(OPTIMISATION, model, **changes)[NAME]


def test_it_is_made_of_the_source_of_its_fusion_and_of_pruned_networks() -> None:
    model = attention()
    fused = candidate(Fusion(), model, FUSED)
    plan = OPTIMISATION.plan(facts(model), [fused, PRUNED])
    assert [
        ("int8-dynamic", None, False, None),
        ("fused+int8-dynamic", "fused", False, None),
        ("pruned-50+int8-dynamic", "pruned-50", True, "pruned-75+int8-dynamic"),
    ] == [(c.name, c.base, c.trained, c.smaller) for c in plan.candidates]


@pytest.mark.parametrize(
    ("instruction_set", "expected"), [("avx2", True), ("avx512f", True), ("avx_vnni", False)]
)
def test_weights_have_7_bits_where_16_bits_would_saturate(
    instruction_set: str, expected: bool
) -> None:
    made = candidate(OPTIMISATION, products(), NAME, instruction_set=instruction_set)
    assert {"reduceRange": expected} == made.options


@pytest.mark.parametrize(
    ("model", "quantised"),
    [
        pytest.param(products(), "2 matrix products", id="gemm"),
        pytest.param(attention(), "6 matrix products", id="a transformer's layer"),
    ],
)
def test_products_with_constant_weights_become_integer(model: ModelProto, quantised: str) -> None:
    workshop = QuantiseWorkshop(model)
    here = candidate(OPTIMISATION, model, NAME, instruction_set=instruction_set())
    made = workshop.make(OPTIMISATION, here)
    assert {"quantised": quantised} == made.notes
    assert 0 < workshop.error(made.model) < 0.05
    assert domains(made.model) <= {"", "com.microsoft"}
    assert {"batch"} == first_axis(made.model)
    assert made.model.ByteSize() < model.ByteSize()


def test_fused_attention_is_quantised_as_one() -> None:
    model = attention()
    workshop = QuantiseWorkshop(model)
    fused = candidate(Fusion(), model, FUSED)
    workshop.make(Fusion(), fused)
    known = facts(model, instruction_set=instruction_set())
    of_fused = OPTIMISATION.plan(known, [fused]).candidates[1]
    made = workshop.make(OPTIMISATION, of_fused)
    assert 1 == operator_counts(made.model)["com.microsoft::QAttention"]
    assert 0 < workshop.error(made.model) < 0.05


def test_weights_of_7_bits_stay_within_them() -> None:
    model = products()
    made = QuantiseWorkshop(model).make(
        OPTIMISATION, candidate(OPTIMISATION, model, NAME, instruction_set="avx2")
    )
    weights = [
        numpy_helper.to_array(tensor)
        for tensor in made.model.graph.initializer
        if tensor.name.endswith("_quantized")
    ]
    assert [True, True] == [int(abs(w.astype(int)).max()) <= 64 for w in weights]


def test_a_network_without_constant_weights_is_refused() -> None:
    model = products(layers=1)
    del model.graph.initializer[:]
    for name in ("w0", "b0"):
        value = model.graph.input.add()
        value.CopyFrom(model.graph.input[0])
        value.name = name
    with pytest.raises(OptimisationError, match="constant weights"):
        QuantiseWorkshop(model).make(OPTIMISATION, candidate(OPTIMISATION, products(), NAME))
