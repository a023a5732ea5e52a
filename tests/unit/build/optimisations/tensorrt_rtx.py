"""TensorRT's parser and builder where no GPU is: whether an engine could be made of a graph."""

from collections.abc import Mapping, Sequence
from typing import Any

from onnx import ModelProto

Shapes = Mapping[str, Sequence[int]]  # of inputs, by name

_ARCHITECTURE = "SM80"  # Ampere; one must be named where no GPU is


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
