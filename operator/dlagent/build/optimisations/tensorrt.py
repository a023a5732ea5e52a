"""TensorRT: the graph of another candidate as an engine, made on the accelerator that will serve.

An engine runs only on the kind of GPU that it was made on, with the version of TensorRT that made
it: that of the serving image, whose trtexec is asked (dlagent.build.accelerator). So it is tried
only where all replicas have the same kind.
"""

from collections.abc import Sequence

from dlagent.build.optimisations.base import Made, Workshop
from dlagent.build.optimisations.rules import SERVED_ON_CPU, made_of
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.search.candidate import (
    SOURCE,
    TENSORRT,
    Candidate,
    Facts,
    Plan,
    Precision,
    Skipped,
)

# Of FP32, what ONNX Runtime's optimiser left has operators that only ONNX Runtime knows.
_PLAIN = ("pruned", "student")


class TensorRt:
    """Of the source, and of all planned candidates whose graphs TensorRT takes."""

    name = TENSORRT

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:
        reason = _reason_against(facts)
        if reason is not None:
            return Plan(skipped=(Skipped(name=TENSORRT, reason=reason),))
        # Smaller networks in FP32 where nothing less precise may be: FP16 is not slower there.
        only_fp32 = not facts.calibrate_examples or facts.precision is Precision.FP32
        bases = [c for c in planned if _takes(c, only_fp32)]
        return Plan(tuple(_candidate(base) for base in bases))

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:
        """The graph; who starts it has the engine made."""
        return Made(workshop.base(candidate, effort))


def _reason_against(facts: Facts) -> str | None:
    if not facts.accelerated:
        return f"{SERVED_ON_CPU}: TensorRT runs on NVIDIA GPUs"
    if facts.accelerator_lacks is not None:
        return f"it could not be made on {facts.accelerator}: {facts.accelerator_lacks}"
    if facts.engine is Engine.ONNX_RUNTIME:
        return "spec.build.engine allows ONNX Runtime only"
    if facts.product is None:
        return (
            "an engine runs on the kind of GPU that it was made on: say which one in"
            " spec.serving.nodeSelector, such as nvidia.com/gpu.product, and in"
            " spec.build.nodeSelector the same or nothing"
        )
    return facts.engine_refused


def _takes(candidate: Candidate, only_fp32: bool) -> bool:
    """Of INT8 the symmetric schemes, with biases in FP32: docs/explanation/optimisations.md."""
    if candidate.name == SOURCE:
        return True
    if candidate.precision is Precision.FP32:
        return only_fp32 and candidate.optimisation in _PLAIN
    if candidate.precision is Precision.FP16:
        return True
    return candidate.options.get("activations") == "S8"


def _candidate(base: Candidate) -> Candidate:
    """The source is nobody's base: what has none is made of it."""
    return base.model_copy(
        update={
            "name": made_of(base.name, TENSORRT),
            "optimisation": TENSORRT,
            "base": None if base.name == SOURCE else base.name,
            "options": {},
            "smaller": made_of(base.smaller, TENSORRT) if base.smaller else None,
            "engine": Engine.TENSORRT,
        }
    )
