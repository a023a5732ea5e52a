"""normalize: (value - mean) / std, with one number for all or one for each channel.

Channels are the first axis of an example where it is as long as the list, else the last.
"""

import numpy as np

from dlagent.api.types import Normalize, Tensor
from dlagent.build.failure import BuildError
from dlagent.build.steps.base import Array, GraphWriter, arithmetic_type, as_float, mismatch
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES
from dlagent.domain.artifact.summary import FailureReason


class NormalizeStep:
    name = "normalize"

    def __init__(self, spec: Normalize) -> None:
        self._mean = [float(value) for value in spec.mean]
        self._std = [float(value) for value in spec.std]
        if len(self._mean) != len(self._std) or not self._mean or 0.0 in self._std:
            raise BuildError(
                FailureReason.SHAPE_MISMATCH,
                "the step normalize needs as many numbers in mean as in std, at least one, and no"
                " std of 0",
            )

    def outputs(self, given: Tensor) -> list[Tensor]:
        self._channel_axis(given)
        return [given.model_copy(update={"data_type": arithmetic_type(given.data_type)})]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        wanted = NUMPY_TYPES[arithmetic_type(given.data_type)]
        shape = self._broadcast_shape(given.shape, self._channel_axis(given))
        mean = graph.constant(np.asarray(self._mean, wanted).reshape(shape))
        std = graph.constant(np.asarray(self._std, wanted).reshape(shape))
        centred = graph.node("Sub", [as_float(graph, value, given), mean])[0]
        return graph.node("Div", [centred, std])

    def reference(self, value: Array, batched: bool) -> list[Array]:
        floats = value if value.dtype.kind == "f" else value.astype(np.float32)
        example = list(floats.shape[1 if batched else 0 :])
        shape = self._broadcast_shape(example, self._axis_of(example))
        mean = np.asarray(self._mean, floats.dtype).reshape(shape)
        std = np.asarray(self._std, floats.dtype).reshape(shape)
        return [np.divide(np.subtract(floats, mean), std)]

    def _channel_axis(self, given: Tensor) -> int | None:
        axis = self._axis_of(given.shape)
        if axis is None and len(self._mean) > 1:
            raise mismatch(
                self.name,
                given,
                f"{len(self._mean)} means need a first or a last axis of that length",
            )
        return axis

    def _axis_of(self, example: list[int]) -> int | None:
        channels = len(self._mean)
        if channels == 1 or not example:
            return None
        if example[0] == channels:
            return 0
        return len(example) - 1 if example[-1] == channels else None

    def _broadcast_shape(self, example: list[int], axis: int | None) -> tuple[int, ...]:
        if axis is None:
            return ()
        return tuple(len(self._mean) if at == axis else 1 for at in range(len(example)))
