"""Fusion: a transformer's many small operators become the few that ONNX Runtime has for them."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import ModelProto, helper

from dlagent.build.onnx_graph import finished, operator_counts
from dlagent.build.optimisations.base import Made, OptimisationError, Workshop
from dlagent.build.optimisations.library import library
from dlagent.build.optimisations.rules import is_transformer
from dlagent.domain.search.candidate import Candidate, Facts, Plan, Precision, Skipped

FUSED = "fused"
# What onnxruntime.transformers makes; all of it runs on ONNX Runtime 1.19, which is in Triton 24.10
_FUSED_OPERATORS = (
    "Attention",
    "BiasGelu",
    "EmbedLayerNormalization",
    "FastGelu",
    "Gelu",
    "MultiHeadAttention",
    "SkipLayerNormalization",
)
_DEFAULT_EPSILON = 1e-5  # of LayerNormalization, by the ONNX standard
_NOT_ONE = (
    "the network is no transformer: it lacks attention (Softmax between matrix products) or layer"
    " normalisation"
)


class Fusion:
    """onnxruntime.transformers, in FP32."""

    name = "fusion"

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:  # noqa: ARG002 - the source
        if not is_transformer(facts.operators):
            return Plan(skipped=(Skipped(name=FUSED, reason=_NOT_ONE),))
        fused = Candidate(name=FUSED, optimisation=self.name, precision=Precision.FP32)
        return Plan((fused,))

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:  # noqa: ARG002
        source = workshop.source()
        model = finished(_fuse(workshop.source()), source)
        before, after = operator_counts(source), operator_counts(model)
        found = {
            name: after.get(f"com.microsoft::{name}", 0) - before.get(f"com.microsoft::{name}", 0)
            for name in _FUSED_OPERATORS
        }
        told = ", ".join(f"{count} {name}" for name, count in found.items() if count > 0)
        if not told:
            raise OptimisationError("onnxruntime.transformers finds nothing to fuse in the graph")
        return Made(model, {"fused": told})


def _fuse(source: ModelProto) -> ModelProto:
    # Imported here: it takes seconds, and few networks are transformers.
    from onnxruntime.transformers.optimizer import (  # type: ignore[import-untyped]  # no types
        optimize_model,
    )

    with tempfile.TemporaryDirectory() as folder, library("onnxruntime.transformers"):
        path = Path(folder, "source.onnx")
        onnx.save(_with_epsilon(source), path)
        fused: ModelProto = optimize_model(str(path), model_type="bert", opt_level=1).model
        return fused


def _with_epsilon(source: ModelProto) -> ModelProto:
    """The defaults of LayerNormalization written out: those of what it is fused into differ."""
    for node in source.graph.node:
        named = {attribute.name for attribute in node.attribute}
        if node.op_type == "LayerNormalization" and "epsilon" not in named:
            node.attribute.append(helper.make_attribute("epsilon", _DEFAULT_EPSILON))
    return source
