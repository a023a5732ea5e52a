"""labels: names in place of the index of argmax, or of the indices of topK."""

import numpy as np

from dlagent.api.types import DataType, LabelNames, Tensor
from dlagent.build.steps.base import Array, GraphWriter, Indices, mismatch


class LabelsStep:
    name = "labels"

    def __init__(self, spec: LabelNames) -> None:
        self._values = np.asarray(spec.values, np.object_)

    def outputs(self, given: Tensor) -> list[Tensor]:
        if not isinstance(given, Indices):
            raise mismatch(
                self.name, given, "it names what argmax or topK found; put one of them before it"
            )
        if given.size == -1:
            raise mismatch(
                self.name, given, "the number of classes is free; declare it in spec.model.outputs"
            )
        if given.size != len(self._values):
            raise mismatch(
                self.name,
                given,
                f"there are {given.size} classes and {len(self._values)} values; write one value"
                " for each class, in the order of the network's output",
            )
        name = "labels" if given.name == "indices" else "label"
        return [Tensor(name=name, data_type=DataType.BYTES, shape=given.shape)]

    def write(self, graph: GraphWriter, value: str, given: Tensor) -> list[str]:
        del given
        return graph.node("Gather", [graph.constant(self._values), value], axis=0)

    def reference(self, value: Array, batched: bool) -> list[Array]:
        del batched
        return [self._values[value]]

    def compared(self, scores: Array, answer: Array) -> tuple[Array, Array]:
        """Where classes share a label, it stands for the one nearest to the right score."""
        descending = -np.sort(-scores.astype(np.float64), axis=-1)
        right = descending[..., : answer.shape[-1]]
        stands_for = np.full(answer.shape, np.nan)
        for place, label in np.ndenumerate(answer):
            own = scores[place[:-1]][self._values == label]
            if own.size:
                stands_for[place] = own[np.argmin(np.abs(own - right[place]))]
        return stands_for, right
