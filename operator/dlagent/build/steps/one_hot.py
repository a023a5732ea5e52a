"""oneHot: each whole number as a row of zeros with a one at its place, as a new last axis.

A number that has no place, below 0 or from depth on, becomes zeros only. (ONNX's own OneHot counts
negative numbers from the end, and its runtime takes no scalar.)
"""

import numpy as np

from dlagent.api.types import DataType, OneHot, Tensor
from dlagent.build.steps.base import Array, GraphWriter, mismatch
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES


class OneHotStep:
    name = "oneHot"

    def __init__(self, spec: OneHot) -> None:
        self._depth = spec.depth

    def outputs(self, given: Tensor) -> list[Tensor]:
        if NUMPY_TYPES[given.data_type].kind not in "iu":
            raise mismatch(self.name, given, "it needs whole numbers; add a cast step before it")
        shape = [*given.shape, self._depth]
        return [given.model_copy(update={"data_type": DataType.FP32, "shape": shape})]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        numbers = graph.cast(value, given.data_type, DataType.INT64)
        column = graph.with_last_axis(numbers, given)
        places = graph.constant(np.arange(self._depth, dtype=np.int64))
        is_at = graph.node("Equal", [column, places])[0]
        return [graph.cast(is_at, DataType.BOOL, DataType.FP32)]

    def reference(self, value: Array, batched: bool) -> list[Array]:
        del batched
        numbers = value.astype(np.int64)[..., np.newaxis]
        return [(numbers == np.arange(self._depth)).astype(np.float32)]
