"""TensorRT: not tried by this builder; but it can be asked whether it would take a graph.

A TensorRT engine runs only on the kind of GPU that it was built on, so that it is nothing to
publish. What is published are graphs, and `refusal` says whether TensorRT could make an engine of
one: its parser and its builder (tensorrt-rtx) need no GPU.
"""

from collections.abc import Sequence
from typing import Any

from onnx import ModelProto

from dlagent.build.optimisations.accelerated import reason_against
from dlagent.build.optimisations.base import Made, OptimisationError, Workshop
from dlagent.domain.search.candidate import Candidate, Facts, Plan, Skipped

NAME = "tensorrt"
_ON_CPU = "TensorRT runs on NVIDIA GPUs"
_BATCHES = (1, 8, 32)  # smallest, usual and largest of the engine that is tried
_ARCHITECTURE = "SM80"  # Ampere; one must be named where no GPU is


class TensorRt:
    """The place of TensorRT in the report."""

    name = NAME

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:  # noqa: ARG002 - the source
        return Plan(skipped=(Skipped(name=NAME, reason=reason_against(facts, _ON_CPU)),))

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:  # noqa: ARG002
        raise OptimisationError(f"{candidate.name} is planned for no target")


def refusal(model: ModelProto, free_size: int) -> str | None:
    """Why TensorRT makes no engine of a graph, in its own words; None where it makes one.

    The first axis of inputs may be free, for batches; other free axes are tried with `free_size`.

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
    config.add_optimization_profile(_profile(builder, network, free_size))
    if builder.build_serialized_network(network, config) is None:
        return "; ".join(logger.errors)
    return None


def _profile(builder: Any, network: Any, free_size: int) -> Any:
    profile = builder.create_optimization_profile()
    for at in range(network.num_inputs):
        tensor = network.get_input(at)
        first, *others = tensor.shape
        rest = [free_size if size < 0 else size for size in others]
        shapes = [[batch if first < 0 else first, *rest] for batch in _BATCHES]
        profile.set_shape(tensor.name, *shapes)
    return profile


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
