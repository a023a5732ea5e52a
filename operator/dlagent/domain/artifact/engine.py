"""What runs a network inside Triton, and on what.

No import here but the standard library, as in dlagent.domain.artifact.layout, which uses it.
"""

from enum import StrEnum

CPU = "cpu"  # what settings call an accelerator where there is none


class Engine(StrEnum):
    """By the name in manifests, reports and status."""

    ONNX_RUNTIME = "ONNXRuntime"
    TENSORRT = "TensorRT"
