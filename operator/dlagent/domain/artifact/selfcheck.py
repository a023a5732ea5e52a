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
    DataType.BYTES: np.dtype(np.object_),
}


class ExpectedOutput(ApiModel):
    """One golden output: its exact shape, batch axis included, and its first values in C order.

    The values of BYTES are text.
    """

    name: str
    data_type: DataType
    shape: list[int]
    head: list[float] | list[str]


class SelfCheck(ApiModel):
    """A request and what must come back.

    The shapes of `inputs` are exactly those of the request, batch axis included. A float passes
    where it is within absoluteTolerance + relativeTolerance x |expected|; all else must be equal.
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

    Raises:
        ValueError: the tensor is of BYTES, which no input is.
    """
    count = math.prod(tensor.shape)
    stream = hashlib.shake_256(f"{seed}/{tensor.name}".encode()).digest(4 * count)
    words: NDArray[np.uint32] = np.frombuffer(stream, dtype="<u4").astype(np.uint32)
    wanted = NUMPY_TYPES[tensor.data_type]
    if wanted.kind == "O":
        raise ValueError(f"the input {tensor.name} cannot be of BYTES")
    if wanted.kind == "f":
        # As many of the upper bits as the type holds exactly, so that nothing rounds up to 1.
        bits = min(24, np.finfo(wanted).nmant + 1)
        values = ((words >> np.uint32(32 - bits)) / np.float64(2**bits)).astype(wanted)
    elif wanted.itemsize == 1 and wanted.kind != "b":
        values = (words & np.uint32(np.iinfo(wanted).max)).astype(wanted)
    else:
        values = (words & np.uint32(1)).astype(wanted)
    return values.reshape(tensor.shape)


def head_of(values: NDArray[Any], length: int = HEAD_LENGTH) -> list[float] | list[str]:
    """The first values: text, or plain numbers as short as single precision can tell apart."""
    first = values.reshape(-1)[:length]
    if values.dtype.kind == "O":
        return texts_of(first)
    return [float(f"{float(value):.9g}") for value in first]


def texts_of(values: NDArray[Any]) -> list[str]:
    """The elements of BYTES as text: ONNX Runtime gives str, Triton's clients UTF-8."""
    return [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values.flat]


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
    values = seen.reshape(-1)[: len(expected.head)]
    if expected.data_type == DataType.BYTES:
        return _other_text(texts_of(values), expected.head)
    return _other_number(check, expected, [float(value) for value in values])


def _other_text(values: Sequence[str], head: Sequence[object]) -> str | None:
    for index, (value, wanted) in enumerate(zip(values, head, strict=True)):
        if value != wanted:
            return f"value {index} is {value!r} instead of {wanted!r}"
    return None


def _other_number(
    check: SelfCheck, expected: ExpectedOutput, values: Sequence[float]
) -> str | None:
    exact = NUMPY_TYPES[expected.data_type].kind != "f"
    head = [float(value) for value in expected.head]
    for index, (value, wanted) in enumerate(zip(values, head, strict=True)):
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
