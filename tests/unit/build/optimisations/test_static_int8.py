"""Static INT8: which schemes are tried where, and what is made of small networks."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from dlagent.build.cpu import instruction_set
from dlagent.build.onnx_graph import operator_counts
from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.optimisations.fp32 import Fp32
from dlagent.build.optimisations.rules import saturates
from dlagent.build.optimisations.static_int8 import NAME, StaticInt8
from dlagent.build.optimisations.transformer import Fusion
from dlagent.domain.data.split import Part
from dlagent.domain.search.candidate import Precision
from tests.unit.build.optimisations.quantise_workshop import (
    EXAMPLES,
    PRUNED,
    WIDTH,
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

OPTIMISATION = StaticInt8()
PLAIN = "int8-u8s8-minmax"
OF_SOURCE = [
    "int8-u8s8-minmax",
    "int8-u8s8-entropy",
    "int8-u8s8-percentile",
    "int8-s8s8-minmax",
    "int8-s8s8-entropy",
]
SEVEN_BITS = ["int8-u8s8-minmax-7bit", "int8-u8s8-percentile-7bit"]


@pytest.mark.parametrize("name", ["avx512_vnni", "avx_vnni", "amx_int8", "aarch64"])
def test_a_cpu_that_adds_in_32_bits_needs_no_weights_of_7(name: str) -> None:
    assert planned(OPTIMISATION, convolutions(), instruction_set=name) == OF_SOURCE
    skipped = reasons(OPTIMISATION, convolutions(), instruction_set=name)
    assert SEVEN_BITS == list(skipped)
    assert all(reason.endswith(f"this one has {name}") for reason in skipped.values())


def test_an_accelerator_is_tried_with_what_tensorrt_takes() -> None:
    known = facts(convolutions(), accelerator="nvidia.com/gpu")

    assert ["int8-s8s8-minmax", "int8-s8s8-entropy", "pruned-50+int8-s8s8-minmax"] == [
        each.name for each in OPTIMISATION.plan(known, (PRUNED,)).candidates
    ]


def test_where_nothing_is_compared_on_the_accelerator_the_cpu_decides() -> None:
    changes = {"accelerator": "nvidia.com/gpu", "accelerator_lacks": "Triton is not there"}
    assert OF_SOURCE == planned(OPTIMISATION, convolutions(), **changes)


@pytest.mark.parametrize("name", ["avx2", "avx512f", "x86_64"])
def test_a_cpu_that_saturates_is_tried_with_weights_of_7_bits(name: str) -> None:
    assert [*OF_SOURCE, *SEVEN_BITS] == planned(OPTIMISATION, convolutions(), instruction_set=name)
    assert {} == reasons(OPTIMISATION, convolutions(), instruction_set=name)


@pytest.mark.parametrize(
    ("instruction_set", "expected"),
    [
        ("avx512_vnni", ["pruned-50+int8-u8s8-minmax"]),
        ("avx2", ["pruned-50+int8-u8s8-minmax", "pruned-50+int8-u8s8-minmax-7bit"]),
    ],
)
def test_other_networks_than_the_source_get_few_schemes(
    instruction_set: str, expected: list[str]
) -> None:
    model = attention()
    known = facts(model, instruction_set=instruction_set)
    same = [c for other in (Fp32(), Fusion()) for c in other.plan(known, ()).candidates]
    plan = OPTIMISATION.plan(known, [*same, PRUNED])
    based = [c for c in plan.candidates if c.base is not None]
    assert expected == [c.name for c in based]
    assert {("pruned-50", True)} == {(c.base, c.trained) for c in based}
    assert [name.replace("50", "75") for name in expected] == [c.smaller for c in based]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param(
            {"operators": {"Relu": 3}}, "none of Conv, ConvTranspose, Gemm, MatMul", id="no layers"
        ),
        pytest.param({"precision": Precision.FP32}, "FP32 only", id="the user wants FP32"),
        pytest.param({"calibrate_examples": 0}, "set spec.build.dataset", id="no examples"),
        pytest.param(
            {"operators": {"Conv": 2, "DequantizeLinear": 3}}, "INT8 already", id="already INT8"
        ),
    ],
)
def test_what_cannot_be_is_skipped_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    assert [] == planned(OPTIMISATION, convolutions(), **changes)
    assert reason in reasons(OPTIMISATION, convolutions(), **changes)[NAME]


@pytest.mark.parametrize("name", [*OF_SOURCE, *SEVEN_BITS])
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(convolutions(), id="convolutions"),
        pytest.param(products(), id="matrix products"),
        pytest.param(attention(), id="a transformer's layer"),
    ],
)
def test_each_scheme_keeps_the_answers_nearly(model: ModelProto, name: str) -> None:
    workshop = QuantiseWorkshop(model)
    made = workshop.make(OPTIMISATION, candidate(OPTIMISATION, model, name, instruction_set="avx2"))
    # Where this machine's CPU adds in 16 bits, products of 8 bits lose more; the gate judges that.
    exact = name in SEVEN_BITS or not saturates(instruction_set())
    assert 0 < workshop.error(made.model) < (0.2 if exact else 1)
    assert {""} == domains(made.model)
    assert {"batch"} == first_axis(made.model)
    assert model.graph.input == made.model.graph.input
    assert model.graph.output == made.model.graph.output
    assert made.model.ByteSize() < model.ByteSize()
    onnx.checker.check_model(made.model, full_check=True)


def test_what_lies_between_layers_is_quantised_too() -> None:
    model = convolutions()
    made = QuantiseWorkshop(model).make(OPTIMISATION, candidate(OPTIMISATION, model, PLAIN))
    counts = operator_counts(made.model)
    assert "Relu" not in counts  # the zero point of what follows does its work
    assert counts["QuantizeLinear"] > 5


def test_of_a_transformer_only_matrix_products_are_quantised() -> None:
    model = attention()
    made = QuantiseWorkshop(model).make(OPTIMISATION, candidate(OPTIMISATION, model, PLAIN))
    consumers = {
        node.op_type for node in made.model.graph.node if "DequantizeLinear" in node.input[0]
    }
    assert {"Softmax", "LayerNormalization"}.isdisjoint(consumers)
    assert "Add" not in consumers


@pytest.mark.parametrize(
    ("name", "types"), [(PLAIN, {"uint8", "int8", "int32"}), ("int8-s8s8-minmax", {"int8"})]
)
def test_biases_stay_in_fp32_where_activations_are_symmetric(name: str, types: set[str]) -> None:
    model = convolutions()
    made = QuantiseWorkshop(model).make(OPTIMISATION, candidate(OPTIMISATION, model, name))
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.model.graph.initializer}
    dequantised = [node for node in made.model.graph.node if node.op_type == "DequantizeLinear"]
    found = {str(arrays[node.input[2]].dtype) for node in dequantised if len(node.input) > 2}
    assert types == found


def test_symmetric_schemes_have_no_zero_point() -> None:
    model = convolutions()
    made = QuantiseWorkshop(model).make(
        OPTIMISATION, candidate(OPTIMISATION, model, "int8-s8s8-entropy")
    )
    zeros = [
        numpy_helper.to_array(tensor)
        for tensor in made.model.graph.initializer
        if "zero_point" in tensor.name
    ]
    assert len(zeros) > 3
    assert not np.concatenate([zero.reshape(-1) for zero in zeros]).any()


@pytest.mark.parametrize(
    ("effort", "limit", "read"),
    [(1.0, 512, EXAMPLES), (0.05, 26, 26), (0.001, 1, 1)],
)
def test_less_effort_reads_fewer_examples(effort: float, limit: int, read: int) -> None:
    model = products()
    workshop = QuantiseWorkshop(model)
    made = workshop.make(OPTIMISATION, candidate(OPTIMISATION, model, PLAIN), effort)
    assert [limit] == workshop.limits
    assert {"calibration": f"MinMax on {read} examples"} == made.notes


def test_a_network_without_a_batch_axis_is_calibrated_one_by_one() -> None:
    model = convolutions(batch=1)
    workshop = QuantiseWorkshop(model)
    assert (EXAMPLES, 1, 1, 8, 8) == workshop.inputs(Part.CALIBRATE)["x"].shape
    made = workshop.make(OPTIMISATION, candidate(OPTIMISATION, model, PLAIN))
    assert "QuantizeLinear" in operator_counts(made.model)


def test_a_network_whose_values_are_not_finite_is_refused() -> None:
    model = products()
    weights = np.full([WIDTH, WIDTH], 3e38, np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w0"))
    with pytest.raises(OptimisationError, match="is not finite on the calibration examples"):
        QuantiseWorkshop(model).make(OPTIMISATION, candidate(OPTIMISATION, model, PLAIN))
