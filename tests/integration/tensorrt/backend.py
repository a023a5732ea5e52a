"""Stands in for Triton's TensorRT backend where no GPU is: `backends/tensorrt/model.py`.

The plan is a graph in ONNX (see trtexec.py), which the local ONNX Runtime backend runs. That one is
beside it as onnxruntime_backend.py. It does not wait as a simulated accelerator: engines are fast.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from onnxruntime_backend import (  # type: ignore[import-not-found]  # see above
    TritonPythonModel as OnnxRuntimeModel,
)


class TritonPythonModel(OnnxRuntimeModel):  # type: ignore[misc]  # found at run time only
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        config["parameters"] = {}
        super().initialize(args | {"model_config": json.dumps(config)})
