"""Dynamic INT8: matrix products in 8 bits, the range of their inputs found anew at each call."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto
from onnxruntime.quantization import (  # type: ignore[import-untyped]  # ships no types
    QuantType,
    quantize_dynamic,
)

from dlagent.build.onnx_graph import finished, operator_counts
from dlagent.build.optimisations.base import Made, OptimisationError, Workshop
from dlagent.build.optimisations.library import library
from dlagent.build.optimisations.quantise import prepare
from dlagent.build.optimisations.rules import forbids, other_weights, saturates, version_of
from dlagent.build.optimisations.transformer import FUSED
from dlagent.domain.search.candidate import Candidate, Facts, Plan, Precision, Skipped

NAME = "int8-dynamic"
_OPERATORS = ("MatMul", "Gemm", "Attention")
_MADE = ("MatMulInteger", "com.microsoft::QAttention")


class DynamicInt8:
    """onnxruntime.quantization.quantize_dynamic, on matrix products only."""

    name = "dynamic-int8"

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:
        reason = _reason_against(facts)
        if reason is not None:
            return Plan(skipped=(Skipped(name=NAME, reason=reason),))
        fused = [candidate for candidate in planned if candidate.name == FUSED]
        bases = [None, *fused, *other_weights(planned)]
        return Plan(tuple(self._candidate(base, facts) for base in bases))

    def _candidate(self, base: Candidate | None, facts: Facts) -> Candidate:
        options = {"reduceRange": saturates(facts.instruction_set)}
        return version_of(base, NAME, self.name, Precision.INT8, options)

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:
        base = workshop.base(candidate, effort)
        model = finished(_quantise(base, bool(candidate.options["reduceRange"])), base)
        made = sum(operator_counts(model).get(name, 0) for name in _MADE)
        if not made:
            raise OptimisationError("no matrix product of the network has constant weights")
        return Made(model, {"quantised": f"{made} matrix products"})


def _reason_against(facts: Facts) -> str | None:
    operators = facts.operators
    convolutions = operators.get("Conv", 0) + operators.get("ConvTranspose", 0)
    products = operators.get("MatMul", 0) + operators.get("Gemm", 0)
    if not products:
        return "the network has no matrix product (MatMul, Gemm)"
    if convolutions > products:
        return (
            f"most of the work is in {convolutions} convolutions, beside {products} matrix"
            " products, and dynamic INT8 convolutions are slower than FP32"
        )
    if facts.compared_there:
        return "ranges are found at each call on CPUs only: TensorRT takes those that are known"
    return forbids(facts, Precision.INT8)


def _quantise(base: ModelProto, reduce_range: bool) -> ModelProto:
    with tempfile.TemporaryDirectory() as folder, library("onnxruntime.quantization"):
        target = Path(folder, "int8.onnx")
        quantize_dynamic(
            prepare(base, Path(folder)),
            target,
            op_types_to_quantize=list(_OPERATORS),
            per_channel=True,
            reduce_range=reduce_range,
            weight_type=QuantType.QInt8,
            # Shape inference stops at operators that are not ONNX's own, such as fused ones.
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )
        return onnx.load(target)
