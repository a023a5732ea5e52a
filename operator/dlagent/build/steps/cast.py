"""cast: the same values in another type."""

from dlagent.api.types import Cast, DataType, Tensor
from dlagent.build.steps.base import Array, GraphWriter, mismatch
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES


class CastStep:
    name = "cast"

    def __init__(self, spec: Cast) -> None:
        self._data_type = spec.data_type

    def outputs(self, given: Tensor) -> list[Tensor]:
        if self._data_type == DataType.BYTES:
            raise mismatch(self.name, given, "dataType must be a type of numbers, not BYTES")
        return [given.model_copy(update={"data_type": self._data_type})]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        return [graph.cast(value, given.data_type, self._data_type)]

    def reference(self, value: Array, batched: bool) -> list[Array]:
        del batched
        return [value.astype(NUMPY_TYPES[self._data_type])]
