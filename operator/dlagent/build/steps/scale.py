"""scale: every value times a number."""

import numpy as np

from dlagent.api.types import Scale, Tensor
from dlagent.build.steps.base import Array, GraphWriter, arithmetic_type, as_float
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES


class ScaleStep:
    name = "scale"

    def __init__(self, spec: Scale) -> None:
        self._factor = float(spec.multiply)

    def outputs(self, given: Tensor) -> list[Tensor]:
        return [given.model_copy(update={"data_type": arithmetic_type(given.data_type)})]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        wanted = NUMPY_TYPES[arithmetic_type(given.data_type)]
        factor = graph.constant(np.asarray(self._factor, wanted))
        return graph.node("Mul", [as_float(graph, value, given), factor])

    def reference(self, value: Array, batched: bool) -> list[Array]:
        del batched
        floats = value if value.dtype.kind == "f" else value.astype(np.float32)
        return [np.multiply(floats, np.asarray(self._factor, floats.dtype))]
