"""What runs a network inside Triton.

No import here but the standard library, as in dlagent.domain.artifact.layout, which uses it.
"""

from enum import StrEnum


class Engine(StrEnum):
    """By the name in manifests, reports and status."""

    ONNX_RUNTIME = "ONNXRuntime"
    TENSORRT = "TensorRT"
