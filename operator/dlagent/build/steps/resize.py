"""resize: a picture in another height and width.

Pixel i of n looks at the place p = (i + 1/2) m / n - 1/2 of the m that were there, held within the
picture. Bilinear mixes the two pixels beside p by their distance, as ONNX's Resize with half_pixel
does it. Nearest takes the nearer one, of two as near the later: pixel floor((i + 1/2) m / n). It is
picked by whole numbers, since Resize decides between two as near by how single precision rounds.
Nothing is smoothed before it is shrunk (antialias is off).
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
        kind = given.data_type if self._nearest else DataType.FP32
        return [resized.model_copy(update={"data_type": kind})]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        if self._nearest:
            return [self._picked(graph, value)]
        picture = graph.cast(value, given.data_type, DataType.FP32)
        if self._layout == Layout.CHW:
            return [self._mixed(graph, picture)]
        # The runtime resizes the last two axes.
        picture = graph.node("Transpose", [picture], perm=_permutation(TO_CHW, graph.batched))[0]
        picture = self._mixed(graph, picture)
        return graph.node("Transpose", [picture], perm=_permutation(TO_HWC, graph.batched))

    def reference(self, value: Array, batched: bool) -> list[Array]:
        along = _picked_along if self._nearest else _mixed_along
        resized = value if self._nearest else value.astype(np.float64)
        for axis, size in self._axes(batched):
            resized = along(resized, size, axis)
        return [resized if self._nearest else resized.astype(np.float32)]

    def _axes(self, batched: bool) -> list[tuple[int, int]]:
        """The axes of rows and columns, and their new sizes."""
        rows = rows_axis(self._layout) + int(batched)
        return [(rows, self._size[0]), (rows + 1, self._size[1])]

    def _mixed(self, graph: GraphWriter, picture: str) -> str:
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
            mode="linear",
        )[0]

    def _picked(self, graph: GraphWriter, picture: str) -> str:
        shape = graph.node("Shape", [picture])[0]
        for axis, size in self._axes(graph.batched):
            there = graph.node("Gather", [shape, graph.constant(np.asarray([axis], np.int64))])[0]
            twice_middle = graph.constant(2 * np.arange(size, dtype=np.int64) + 1)
            scaled = graph.node("Mul", [twice_middle, there])[0]
            twice_size = graph.constant(np.asarray([2 * size], np.int64))
            nearer = graph.node("Div", [scaled, twice_size])[0]
            picture = graph.node("Gather", [picture, nearer], axis=axis)[0]
        return picture


def _picked_along(value: Array, size: int, axis: int) -> Array:
    nearer = (2 * np.arange(size) + 1) * value.shape[axis] // (2 * size)
    picked: Array = np.take(value, nearer, axis)
    return picked


def _mixed_along(value: Array, size: int, axis: int) -> Array:
    last = value.shape[axis] - 1
    # Places in single precision, as the runtime has them: of thousands of pixels it shows.
    half, scale = np.float32(0.5), np.float32(size) / np.float32(last + 1)
    place = np.clip((np.arange(size, dtype=np.float32) + half) / scale - half, 0, last)
    before = np.floor(place).astype(np.int64)
    after = np.minimum(before + 1, last)
    share = (place - before).reshape([-1] + [1] * (value.ndim - 1 - axis))
    mixed: Array = np.take(value, before, axis) * (1 - share)
    mixed += np.take(value, after, axis) * share
    return mixed


def _permutation(axes: list[int], batched: bool) -> list[int]:
    return [0, *(axis + 1 for axis in axes)] if batched else axes
