"""What trtexec is told to make an engine of TensorRT, and what it says where it makes none.

Pure. An engine is made for batches of 1 to MOST_ROWS rows, and computes in the types that the graph
has (strongly typed), so that what was judged in ONNX Runtime is what is asked of TensorRT.
"""

import re
from collections.abc import Sequence
from pathlib import PurePath

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2  # type: ignore[import-untyped]  # ships no types

from dlagent.api.types import DataType, Tensor
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.triton_config import describe_tensors
from dlagent.domain.tuning.trials import BATCHES

MOST_ROWS = BATCHES[-1]
_USUAL_ROWS = 8
_SENTENCE_CHARACTERS = 300
# An error of trtexec, up to what it says next: [11/30/2026-16:23:30] [E] [TRT] Node.cpp:772: ...
_ERROR = re.compile(
    r"^(?:\[[^\]]*\] )?\[E\] (?:\[TRT\] )?(.*?)(?=^\[|^&&&&|\Z)", re.MULTILINE | re.DOTALL
)

ARGUMENTS = Tensor(name="arguments", data_type=DataType.BYTES, shape=[-1])
SECONDS = Tensor(name="seconds", data_type=DataType.FP32, shape=[1])
EXIT_CODE = Tensor(name="exit_code", data_type=DataType.INT32, shape=[1])
LOG = Tensor(name="log", data_type=DataType.BYTES, shape=[1])


def arguments(
    network: PurePath, plan: PurePath, timings: PurePath, interface: ModelInterface
) -> list[str]:
    """The command line that makes the file `plan` of the ONNX file `network`.

    What was measured for one engine is kept in the file `timings` for the next. FP32 is FP32, and
    not TF32, whose products have 10 bits.
    """
    given = [
        f"--onnx={network}",
        f"--saveEngine={plan}",
        f"--timingCacheFile={timings}",
        "--stronglyTyped",
        "--noTF32",
        "--skipInference",
    ]
    if not interface.batched:
        return given
    sizes = (("min", 1), ("opt", _USUAL_ROWS), ("max", MOST_ROWS))
    return given + [f"--{name}Shapes={_shapes(interface.inputs, rows)}" for name, rows in sizes]


def _shapes(inputs: Sequence[Tensor], rows: int) -> str:
    return ",".join(
        f"{tensor.name}:{'x'.join(map(str, (rows, *tensor.shape)))}" for tensor in inputs
    )


def complaint(log: str) -> str:
    """The errors in what trtexec printed, short enough for a report; else how it ended."""
    said = "; ".join(dict.fromkeys(" ".join(error.split()) for error in _ERROR.findall(log)))
    text = said or " ".join(log.split())[-_SENTENCE_CHARACTERS:]
    return text[:_SENTENCE_CHARACTERS] or "it said nothing"


def config() -> str:
    """The configuration of the model that runs trtexec."""
    message = model_config_pb2.ModelConfig()
    message.backend = "python"
    describe_tensors(message, [ARGUMENTS, SECONDS], [EXIT_CODE, LOG])
    group = message.instance_group.add()
    group.count = 1
    group.kind = model_config_pb2.ModelInstanceGroup.KIND_CPU
    text: str = text_format.MessageToString(message)
    return text
