"""softmax: the last axis as probabilities."""

import numpy as np

from dlagent.api.types import Softmax, Tensor
from dlagent.build.steps.base import Array, GraphWriter, require_floats


class SoftmaxStep:
    name = "softmax"

    def __init__(self, spec: Softmax) -> None:
        del spec

    def outputs(self, given: Tensor) -> list[Tensor]:
        require_floats(self.name, given)
        return [given.model_copy(update={"name": "probabilities"})]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        return graph.node("Softmax", [value], axis=len(given.shape) - (0 if graph.batched else 1))

    def reference(self, value: Array, batched: bool) -> list[Array]:
        del batched
        floats = value.astype(np.float64)
        powers = np.exp(floats - floats.max(axis=-1, keepdims=True))
        return [(powers / powers.sum(axis=-1, keepdims=True)).astype(value.dtype)]
