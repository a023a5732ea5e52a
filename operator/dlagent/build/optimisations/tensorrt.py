"""TensorRT: the graph of another candidate as an engine, made on the accelerator that will serve.

An engine runs only on the kind of GPU that it was made on, with the version of TensorRT that made
it: that of the serving image, whose trtexec is asked (dlagent.build.accelerator). So it is tried
only where all replicas have the same kind.

`refusal` asks TensorRT's parser and builder where no GPU is, for what can be known without one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from onnx import ModelProto

from dlagent.build.optimisations.base import Made, Workshop
from dlagent.build.optimisations.rules import made_of
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

Shapes = Mapping[str, Sequence[int]]  # of inputs, by name

_ARCHITECTURE = "SM80"  # Ampere; one must be named where no GPU is
# Of FP32, what ONNX Runtime's optimiser left has operators that only ONNX Runtime knows.
_PLAIN = ("pruned", "student")


class TensorRt:
    """Of the source, and of all planned candidates whose graphs TensorRT takes."""

    name = TENSORRT

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:
        reason = _reason_against(facts)
        if reason is not None:
            return Plan(skipped=(Skipped(name=TENSORRT, reason=reason),))
        # In FP32 it is tried where nothing less precise may be: FP16 is never slower there.
        only_fp32 = not facts.calibrate_examples or facts.precision is Precision.FP32
        bases = [c for c in planned if _takes(c, only_fp32)]
        return Plan(tuple(_candidate(base) for base in bases))

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:
        """The graph; who starts it has the engine made."""
        return Made(workshop.base(candidate, effort))


def _reason_against(facts: Facts) -> str | None:
    if not facts.accelerated:
        return "TensorRT runs on NVIDIA GPUs"
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
    if facts.free_axes:
        return "an input has a free axis beside the batch: declare its size in spec.model.inputs"
    return facts.engine_refused


def _takes(candidate: Candidate, only_fp32: bool) -> bool:
    """By `refusal`: of INT8 the symmetric schemes, with biases in FP32."""
    if candidate.precision is Precision.FP32:
        return only_fp32 and (candidate.name == SOURCE or candidate.optimisation in _PLAIN)
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


def refusal(model: ModelProto, shapes: Sequence[Shapes]) -> str | None:
    """Why TensorRT makes no engine of a graph, in its own words; None where it makes one.

    `shapes` are the smallest, the usual and the largest that inputs with free axes are to take.

    Raises:
        ImportError: the package tensorrt-rtx is not installed.
    """
    import tensorrt_rtx as trt  # type: ignore[import-untyped]  # large, and seldom asked

    logger = _logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model.SerializeToString()):
        return "; ".join(parser.get_error(at).desc() for at in range(parser.num_errors))
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.__members__[_ARCHITECTURE], 0)
    smallest, usual, largest = shapes
    if smallest:
        profile = builder.create_optimization_profile()
        for name, shape in smallest.items():
            profile.set_shape(name, shape, usual[name], largest[name])
        config.add_optimization_profile(profile)
    if builder.build_serialized_network(network, config) is None:
        return "; ".join(logger.errors)
    return None


def _logger(trt: Any) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc]  # its base is known at run time only
        """Keeps errors, prints nothing."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.errors.append(message)

    return Logger()
