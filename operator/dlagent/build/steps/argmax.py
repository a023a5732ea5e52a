"""argmax: the index of the largest value of the last axis, which stays as an axis of length 1."""

import numpy as np

from dlagent.api.types import ArgMax, DataType, Tensor
from dlagent.build.steps.base import Array, GraphWriter, mismatch


class ArgMaxStep:
    name = "argmax"

    def __init__(self, spec: ArgMax) -> None:
        del spec

    def outputs(self, given: Tensor) -> list[Tensor]:
        if not given.shape or given.data_type == DataType.BOOL:
            raise mismatch(self.name, given, "it needs numbers with at least one axis")
        return [Tensor(name="index", data_type=DataType.INT64, shape=[*given.shape[:-1], 1])]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        axis = len(given.shape) - (0 if graph.batched else 1)
        return graph.node("ArgMax", [value], axis=axis, keepdims=1)

    def reference(self, value: Array, batched: bool) -> list[Array]:
        del batched
        return [np.argmax(value, axis=-1, keepdims=True).astype(np.int64)]
