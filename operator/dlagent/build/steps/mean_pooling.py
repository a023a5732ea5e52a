"""meanPooling: the mean of the token vectors that an attention mask lets through.

With tokens x_t and mask m_t: sum_t(m_t x_t) / max(sum_t(m_t), 1e-9), as sentence-transformers
pools (Reimers and Gurevych, "Sentence-BERT", EMNLP 2019, section 3, strategy MEAN).
"""

import numpy as np

from dlagent.api.types import MeanPooling, Tensor
from dlagent.build.steps.base import (
    Array,
    GraphWriter,
    mismatch,
    require_floats,
    summing_type,
)
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES

_FEWEST_TOKENS = 1e-9  # so that no token at all gives zeros, and not 0 / 0


class MeanPoolingStep:
    name = "meanPooling"

    def __init__(self, spec: MeanPooling) -> None:
        self.mask = spec.mask

    def outputs(self, given: Tensor, mask: Tensor) -> list[Tensor]:
        require_floats(self.name, given)
        if len(given.shape) < 2:
            raise mismatch(self.name, given, "it needs an axis of tokens before the last one")
        *front, width = given.shape
        if len(mask.shape) != len(front) or not all(map(_may_be_equal, mask.shape, front)):
            raise mismatch(
                self.name,
                given,
                f"the mask {mask.name} has the shape {mask.shape} and must have {front}",
            )
        return [given.model_copy(update={"name": "embedding", "shape": [*front[:-1], width]})]

    def write(
        self, graph: GraphWriter, value: str, given: Tensor, mask_value: str, mask: Tensor
    ) -> list[str]:
        kind = summing_type(given.data_type)
        tokens = graph.cast(value, given.data_type, kind)
        counted = graph.cast(mask_value, mask.data_type, kind)
        column = graph.with_last_axis(counted, mask)
        masked = graph.node("Mul", [tokens, column])[0]
        total = graph.reduce("ReduceSum", masked, axis=-2, keep_axis=False)
        count = graph.reduce("ReduceSum", column, axis=-2, keep_axis=False)
        fewest = graph.constant(np.asarray(_FEWEST_TOKENS, NUMPY_TYPES[kind]))
        mean = graph.node("Div", [total, graph.node("Max", [count, fewest])[0]])[0]
        return [graph.cast(mean, kind, given.data_type)]

    def reference(self, value: Array, mask: Array, batched: bool) -> list[Array]:
        del batched
        column = mask.astype(np.float64)[..., np.newaxis]
        total = (value.astype(np.float64) * column).sum(axis=-2)
        return [(total / np.maximum(column.sum(axis=-2), _FEWEST_TOKENS)).astype(value.dtype)]


def _may_be_equal(size: int, other: int) -> bool:
    return -1 in (size, other) or size == other
