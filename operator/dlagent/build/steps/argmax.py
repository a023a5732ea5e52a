"""argmax: the index of the largest value of the last axis, which stays as an axis of length 1."""

import numpy as np

from dlagent.api.types import ArgMax, DataType, Tensor
from dlagent.build.steps.base import Array, GraphWriter, Indices, require_numbers


class ArgMaxStep:
    name = "argmax"

    def __init__(self, spec: ArgMax) -> None:
        del spec

    def outputs(self, given: Tensor) -> list[Tensor]:
        require_numbers(self.name, given)
        *front, size = given.shape
        return [Indices(name="index", data_type=DataType.INT64, shape=[*front, 1], size=size)]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        axis = len(given.shape) - (0 if graph.batched else 1)
        return graph.node("ArgMax", [value], axis=axis, keepdims=1)

    def reference(self, value: Array, batched: bool) -> list[Array]:
        del batched
        return [np.argmax(value, axis=-1, keepdims=True).astype(np.int64)]

    def compared(self, scores: Array, answer: Array) -> tuple[Array, Array]:
        return np.take_along_axis(scores, answer, axis=-1), scores.max(axis=-1, keepdims=True)
