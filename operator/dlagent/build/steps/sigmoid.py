"""sigmoid: each value x as the probability 1 / (1 + exp(-x))."""

import numpy as np

from dlagent.api.types import Sigmoid, Tensor
from dlagent.build.steps.base import Array, GraphWriter, require_floats


class SigmoidStep:
    name = "sigmoid"

    def __init__(self, spec: Sigmoid) -> None:
        del spec

    def outputs(self, given: Tensor) -> list[Tensor]:
        require_floats(self.name, given)
        return [given.model_copy(update={"name": "probabilities"})]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        del given
        return graph.node("Sigmoid", [value])

    def reference(self, value: Array, batched: bool) -> list[Array]:
        del batched
        # The same function, and exp cannot overflow.
        return [(0.5 + 0.5 * np.tanh(value.astype(np.float64) / 2)).astype(value.dtype)]
