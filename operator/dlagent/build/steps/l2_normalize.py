"""l2Normalize: x / max(|x|, 1e-12) for each vector x along the last axis.

The epsilon is that of torch.nn.functional.normalize; zeros stay zeros.
"""

import numpy as np

from dlagent.api.types import L2Normalize, Tensor
from dlagent.build.steps.base import Array, GraphWriter, require_floats, summing_type
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES

_SHORTEST = 1e-12


class L2NormalizeStep:
    name = "l2Normalize"

    def __init__(self, spec: L2Normalize) -> None:
        del spec

    def outputs(self, given: Tensor) -> list[Tensor]:
        require_floats(self.name, given)
        return [given]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        kind = summing_type(given.data_type)
        vectors = graph.cast(value, given.data_type, kind)
        length = graph.reduce("ReduceL2", vectors, axis=-1, keep_axis=True)
        shortest = graph.constant(np.asarray(_SHORTEST, NUMPY_TYPES[kind]))
        unit = graph.node("Div", [vectors, graph.node("Max", [length, shortest])[0]])[0]
        return [graph.cast(unit, kind, given.data_type)]

    def reference(self, value: Array, batched: bool) -> list[Array]:
        del batched
        vectors = value.astype(np.float64)
        length = np.linalg.norm(vectors, axis=-1, keepdims=True)
        return [(vectors / np.maximum(length, _SHORTEST)).astype(value.dtype)]
