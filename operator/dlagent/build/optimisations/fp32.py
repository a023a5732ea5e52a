"""The source as it is, which all else is compared with, and its graph optimised offline."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx
import onnxruntime  # type: ignore[import-untyped]  # ships no types
from onnx import ModelProto

from dlagent.build.onnx_graph import finished, operator_counts
from dlagent.build.optimisations.base import Made, OptimisationError, Workshop
from dlagent.build.optimisations.library import library
from dlagent.domain.search.candidate import SOURCE, Candidate, Facts, Plan, Precision

OPTIMISED = "fp32-optimised"
# The fusions of ONNX Runtime's level EXTENDED for CPUs, as far as version 1.19 runs them, which is
# in Triton 24.10. Level ALL would add layouts that only the CPU that built them reads.
_KNOWN = frozenset(
    f"com.microsoft::{name}"
    for name in (
        "Attention",
        "BiasGelu",
        "EmbedLayerNormalization",
        "FastGelu",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "Gelu",
        "MatMulIntegerToFloat",
        "QuickGelu",
        "SkipLayerNormalization",
    )
)


class Fp32:
    """ONNX Runtime in FP32."""

    name = "fp32"

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:  # noqa: ARG002 - always
        names = (SOURCE, OPTIMISED)
        return Plan(
            tuple(
                Candidate(name=name, optimisation=self.name, precision=Precision.FP32)
                for name in names
            )
        )

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:  # noqa: ARG002
        source = workshop.source()
        if candidate.name == SOURCE:
            return Made(source)
        model = finished(_optimise(source), source)
        before, after = operator_counts(source), operator_counts(model)
        _check_known(before, after)
        nodes = f"{sum(after.values())} nodes instead of {sum(before.values())}"
        return Made(model, {"graph": nodes})


def _optimise(source: ModelProto) -> ModelProto:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with tempfile.TemporaryDirectory() as folder, library("ONNX Runtime"):
        path = Path(folder, "optimised.onnx")
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(
            source.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return onnx.load(path)


def _check_known(before: dict[str, int], after: dict[str, int]) -> None:
    new = sorted(
        name for name in after if "::" in name and name not in before and name not in _KNOWN
    )
    if new:
        raise OptimisationError(
            f"ONNX Runtime's optimised graph has operators that older ones lack: {', '.join(new)}"
        )
