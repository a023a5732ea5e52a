"""threshold: whether each value is above a number, which is first rounded to the values' type."""

import numpy as np

from dlagent.api.types import DataType, Tensor, Threshold
from dlagent.build.steps.base import Array, GraphWriter, require_floats
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES


class ThresholdStep:
    name = "threshold"

    def __init__(self, spec: Threshold) -> None:
        self._value = float(spec.value)

    def outputs(self, given: Tensor) -> list[Tensor]:
        require_floats(self.name, given)
        return [Tensor(name="above", data_type=DataType.BOOL, shape=given.shape)]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        limit = graph.constant(np.asarray(self._value, NUMPY_TYPES[given.data_type]))
        return graph.node("Greater", [value, limit])

    def reference(self, value: Array, batched: bool) -> list[Array]:
        del batched
        return [np.greater(value, self._limit(value))]

    def compared(self, scores: Array, answer: Array) -> tuple[Array, Array]:
        limit = self._limit(scores)
        nearest = np.where(answer, np.maximum(scores, limit), np.minimum(scores, limit))
        return nearest, scores

    def _limit(self, value: Array) -> Array:
        return np.asarray(self._value, value.dtype)
