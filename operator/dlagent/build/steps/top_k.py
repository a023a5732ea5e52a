"""topK: the k largest values of the last axis, largest first, and their indices."""

import numpy as np

from dlagent.api.types import DataType, Tensor, TopK
from dlagent.build.steps.base import Array, GraphWriter, Indices, mismatch, require_numbers


class TopKStep:
    name = "topK"

    def __init__(self, spec: TopK) -> None:
        self._k = spec.k

    def outputs(self, given: Tensor) -> list[Tensor]:
        require_numbers(self.name, given)
        *front, size = given.shape
        if size != -1 and not 1 <= self._k <= size:
            raise mismatch(self.name, given, f"k must be between 1 and {size}")
        shape = [*front, self._k]
        return [
            Tensor(name="values", data_type=given.data_type, shape=shape),
            Indices(name="indices", data_type=DataType.INT64, shape=shape, size=size),
        ]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        axis = len(given.shape) - (0 if graph.batched else 1)
        k = graph.constant(np.asarray([self._k], np.int64))
        return graph.node("TopK", [value, k], outputs=2, axis=axis, largest=1, sorted=1)

    def reference(self, value: Array, batched: bool) -> list[Array]:
        del batched
        # Stable, so that of equal values the first comes first, as ONNX asks.
        descending = np.argsort(-value.astype(np.float64), axis=-1, kind="stable")
        indices = descending[..., : self._k].astype(np.int64)
        return [np.take_along_axis(value, indices, axis=-1), indices]

    def compared(self, scores: Array, answer: Array) -> tuple[Array, Array]:
        return np.take_along_axis(scores, answer, axis=-1), self.reference(scores, False)[0]
