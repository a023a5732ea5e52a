"""centerCrop: the middle of a picture. Of an odd remainder more is cut at the bottom and right."""

import numpy as np

from dlagent.api.types import CenterCrop, Tensor
from dlagent.build.steps.base import Array, GraphWriter, mismatch
from dlagent.build.steps.pictures import require_picture, rows_axis, with_size


class CenterCropStep:
    name = "centerCrop"

    def __init__(self, spec: CenterCrop) -> None:
        self._size = (spec.height, spec.width)
        self._layout = spec.layout

    def outputs(self, given: Tensor) -> list[Tensor]:
        require_picture(self.name, given, self._layout)
        for size, left in zip(self._picture_size(given.shape), self._size, strict=True):
            if size == -1:
                raise mismatch(
                    self.name,
                    given,
                    "height and width are free; put a resize step before it, or declare them in"
                    " spec.model.inputs",
                )
            if size < left:
                raise mismatch(
                    self.name, given, f"height and width {list(self._size)} are more than there is"
                )
        return [with_size(given, self._layout, *self._size)]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        starts = self._starts(given.shape)
        ends = [start + left for start, left in zip(starts, self._size, strict=True)]
        rows = rows_axis(self._layout) + int(graph.batched)
        parts = [graph.constant(np.asarray(p, np.int64)) for p in (starts, ends, [rows, rows + 1])]
        return graph.node("Slice", [value, *parts])

    def reference(self, value: Array, batched: bool) -> list[Array]:
        rows = rows_axis(self._layout) + int(batched)
        top, left = self._starts(list(value.shape[int(batched) :]))
        height, width = self._size
        front = (slice(None),) * rows
        return [value[(*front, slice(top, top + height), slice(left, left + width))]]

    def _picture_size(self, example: list[int]) -> list[int]:
        rows = rows_axis(self._layout)
        return example[rows : rows + 2]

    def _starts(self, example: list[int]) -> list[int]:
        sizes = self._picture_size(example)
        return [(size - left) // 2 for size, left in zip(sizes, self._size, strict=True)]
