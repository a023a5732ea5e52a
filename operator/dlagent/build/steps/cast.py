"""cast: the same values in another type."""

from onnx import helper

from dlagent.api.types import Cast, Tensor
from dlagent.build.steps.base import Array, GraphWriter
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES


class CastStep:
    name = "cast"

    def __init__(self, spec: Cast) -> None:
        self._data_type = spec.data_type

    def outputs(self, given: Tensor) -> list[Tensor]:
        return [given.model_copy(update={"data_type": self._data_type})]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        if given.data_type == self._data_type:
            return [value]
        return graph.node(
            "Cast", [value], to=helper.np_dtype_to_tensor_dtype(NUMPY_TYPES[self._data_type])
        )

    def reference(self, value: Array, batched: bool) -> list[Array]:
        del batched
        return [value.astype(NUMPY_TYPES[self._data_type])]
