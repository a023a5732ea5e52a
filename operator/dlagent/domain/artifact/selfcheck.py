"""The golden input and output of an artifact: does a pod compute what the build computed?

The builder records a `SelfCheck`; the operator remakes its input from the seed, asks each new pod
before traffic is sent there, and compares. Nothing of the store has to be read for it.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlagent.api.types import ApiModel, DataType, Tensor

HEAD_LENGTH = 32

NUMPY_TYPES: Mapping[DataType, np.dtype[Any]] = {
    DataType.BOOL: np.dtype(np.bool_),
    DataType.UINT8: np.dtype(np.uint8),
    DataType.INT8: np.dtype(np.int8),
    DataType.INT16: np.dtype(np.int16),
    DataType.INT32: np.dtype(np.int32),
    DataType.INT64: np.dtype(np.int64),
    DataType.FP16: np.dtype(np.float16),
    DataType.FP32: np.dtype(np.float32),
    DataType.FP64: np.dtype(np.float64),
}


class ExpectedOutput(ApiModel):
    """One golden output: its exact shape, batch axis included, and its first values in C order."""

    name: str
    data_type: DataType
    shape: list[int]
    head: list[float]


class SelfCheck(ApiModel):
    """A request and what must come back.

    The shapes of `inputs` are exactly those of the request, batch axis included. A value passes
    where it is within absoluteTolerance + relativeTolerance x |expected|.
    """

    seed: str
    inputs: list[Tensor]
    outputs: list[ExpectedOutput]
    relative_tolerance: float
    absolute_tolerance: float


def golden_input(seed: str, tensor: Tensor) -> NDArray[Any]:
    """The same values for the same seed, name, type and shape, on every machine and version.

    Floats are uniform in [0, 1). 8-bit integers use all non-negative values, as pixels do; wider
    integers are 0 or 1, which any vocabulary, mask or index has room for.
    """
    count = math.prod(tensor.shape)
    stream = hashlib.shake_256(f"{seed}/{tensor.name}".encode()).digest(4 * count)
    words: NDArray[np.uint32] = np.frombuffer(stream, dtype="<u4").astype(np.uint32)
    wanted = NUMPY_TYPES[tensor.data_type]
    if wanted.kind == "f":
        # As many of the upper bits as the type holds exactly, so that nothing rounds up to 1.
        bits = min(24, np.finfo(wanted).nmant + 1)
        values = ((words >> np.uint32(32 - bits)) / np.float64(2**bits)).astype(wanted)
    elif wanted.itemsize == 1 and wanted.kind != "b":
        values = (words & np.uint32(np.iinfo(wanted).max)).astype(wanted)
    else:
        values = (words & np.uint32(1)).astype(wanted)
    return values.reshape(tensor.shape)


def head_of(values: NDArray[Any], length: int = HEAD_LENGTH) -> list[float]:
    """The first values as plain numbers, shortened to what single precision can tell apart."""
    return [float(f"{float(value):.9g}") for value in values.reshape(-1)[:length]]


def compare(check: SelfCheck, outputs: Mapping[str, NDArray[Any]]) -> str | None:
    """None where the outputs are the golden ones, else what differs, for a person to read."""
    for expected in check.outputs:
        if expected.name not in outputs:
            return f"output {expected.name} is missing"
        problem = _difference(check, expected, outputs[expected.name])
        if problem:
            return f"output {expected.name}: {problem}"
    return None


def _difference(check: SelfCheck, expected: ExpectedOutput, seen: NDArray[Any]) -> str | None:
    if list(seen.shape) != expected.shape:
        return f"shape {list(seen.shape)} instead of {expected.shape}"
    exact = NUMPY_TYPES[expected.data_type].kind != "f"
    values = _numbers(seen.reshape(-1)[: len(expected.head)])
    for index, (value, wanted) in enumerate(zip(values, expected.head, strict=True)):
        if math.isnan(value) and math.isnan(wanted):
            continue
        allowed = 0.0 if exact else _allowed(check, wanted)
        if value != wanted and not abs(value - wanted) <= allowed:
            return f"value {index} is {value:.6g} instead of {wanted:.6g}"
    return None


def _allowed(check: SelfCheck, wanted: float) -> float:
    if math.isinf(wanted):
        return 0.0
    return check.absolute_tolerance + check.relative_tolerance * abs(wanted)


def _numbers(values: NDArray[Any]) -> Sequence[float]:
    return [float(value) for value in values]
