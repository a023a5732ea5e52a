"""resize: a picture in another height and width, as ONNX's Resize with half_pixel does it.

Pixel i of n looks at (i + 1/2) m / n - 1/2 of the m that were there, held within the picture.
Bilinear mixes the two pixels beside it by their distance; Nearest takes the nearer one, of two
as near the later. Nothing is smoothed before it is shrunk (antialias is off).
"""

import numpy as np

from dlagent.api.types import DataType, Interpolation, Layout, Resize, Tensor
from dlagent.build.steps.base import Array, GraphWriter
from dlagent.build.steps.pictures import TO_CHW, TO_HWC, require_picture, rows_axis, with_size

_OMITTED = ""
_MAY_OMIT = 13  # the opset from which on Resize takes no region and no scales


class ResizeStep:
    name = "resize"

    def __init__(self, spec: Resize) -> None:
        self._size = (spec.height, spec.width)
        self._layout = spec.layout
        self._nearest = spec.interpolation == Interpolation.NEAREST

    def outputs(self, given: Tensor) -> list[Tensor]:
        require_picture(self.name, given, self._layout)
        resized = with_size(given, self._layout, *self._size)
        return [resized.model_copy(update={"data_type": DataType.FP32})]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        picture = graph.cast(value, given.data_type, DataType.FP32)
        if self._layout == Layout.CHW:
            return [self._resized(graph, picture)]
        # The runtime resizes the last two axes.
        picture = graph.node("Transpose", [picture], perm=_permutation(TO_CHW, graph.batched))[0]
        picture = self._resized(graph, picture)
        return graph.node("Transpose", [picture], perm=_permutation(TO_HWC, graph.batched))

    def reference(self, value: Array, batched: bool) -> list[Array]:
        rows = rows_axis(self._layout) + int(batched)
        resized = value.astype(np.float64)
        for axis, size in zip((rows, rows + 1), self._size, strict=True):
            resized = self._along(resized, size, axis)
        return [resized.astype(np.float32)]

    def _resized(self, graph: GraphWriter, picture: str) -> str:
        starts, ends = (graph.constant(np.asarray([at], np.int64)) for at in (0, -2))
        shape = graph.node("Shape", [picture])[0]
        front = graph.node("Slice", [shape, starts, ends])[0]
        sizes = graph.node(
            "Concat", [front, graph.constant(np.asarray(self._size, np.int64))], axis=0
        )[0]
        nothing = _OMITTED
        if graph.opset < _MAY_OMIT:
            nothing = graph.constant(np.asarray([], np.float32))
        return graph.node(
            "Resize",
            [picture, nothing, nothing, sizes],
            coordinate_transformation_mode="half_pixel",
            mode="nearest" if self._nearest else "linear",
            nearest_mode="round_prefer_ceil",
        )[0]

    def _along(self, value: Array, size: int, axis: int) -> Array:
        last = value.shape[axis] - 1
        # In single precision as the runtime, since the nearer of two depends on the rounding.
        scale = np.float32(size) / np.float32(last + 1)
        looked_at = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / scale - np.float32(0.5)
        looked_at = np.clip(looked_at, 0, last)
        if self._nearest:
            nearer = np.floor(looked_at + np.float32(0.5)).astype(np.int64)
            taken: Array = np.take(value, nearer, axis)
            return taken
        before = np.floor(looked_at).astype(np.int64)
        after = np.minimum(before + 1, last)
        share = (looked_at - before).reshape([-1] + [1] * (value.ndim - 1 - axis))
        mixed: Array = np.take(value, before, axis) * (1 - share)
        mixed += np.take(value, after, axis) * share
        return mixed


def _permutation(axes: list[int], batched: bool) -> list[int]:
    return [0, *(axis + 1 for axis in axes)] if batched else axes
