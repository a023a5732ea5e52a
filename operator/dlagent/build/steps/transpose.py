"""transpose: the axes of an example in another order, counted from 0 without the batch axis."""

import numpy as np

from dlagent.api.types import Tensor, Transpose
from dlagent.build.steps.base import Array, GraphWriter, mismatch


class TransposeStep:
    name = "transpose"

    def __init__(self, spec: Transpose) -> None:
        self._axes = list(spec.axes)

    def outputs(self, given: Tensor) -> list[Tensor]:
        if sorted(self._axes) != list(range(len(given.shape))):
            raise mismatch(
                self.name,
                given,
                f"axes {self._axes} must name each of 0 to {len(given.shape) - 1} once",
            )
        return [given.model_copy(update={"shape": [given.shape[axis] for axis in self._axes]})]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        del given
        return graph.node("Transpose", [value], perm=self._permutation(graph.batched))

    def reference(self, value: Array, batched: bool) -> list[Array]:
        return [np.transpose(value, self._permutation(batched))]

    def _permutation(self, batched: bool) -> list[int]:
        return [0, *(axis + 1 for axis in self._axes)] if batched else self._axes
