"""reshape: the same values in another shape; one axis may be -1."""

import math

import numpy as np

from dlagent.api.types import Reshape, Tensor
from dlagent.build.steps.base import Array, GraphWriter, mismatch


class ReshapeStep:
    name = "reshape"

    def __init__(self, spec: Reshape) -> None:
        self._shape = list(spec.shape)

    def outputs(self, given: Tensor) -> list[Tensor]:
        free = self._shape.count(-1)
        if free > 1 or any(size < -1 or size == 0 for size in self._shape):
            raise mismatch(
                self.name, given, f"{self._shape} must hold positive sizes and at most one -1"
            )
        if -1 in given.shape:
            return [given.model_copy(update={"shape": self._shape})]
        count = math.prod(given.shape)
        known = math.prod(size for size in self._shape if size != -1)
        if (free and count % known) or (not free and count != known):
            raise mismatch(self.name, given, f"{count} values do not fit into {self._shape}")
        shape = [count // known if size == -1 else size for size in self._shape]
        return [given.model_copy(update={"shape": shape})]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        del given
        return graph.node("Reshape", [value, graph.shape(self._shape)])

    def reference(self, value: Array, batched: bool) -> list[Array]:
        front = [value.shape[0]] if batched else []
        return [np.reshape(value, [*front, *self._shape])]
