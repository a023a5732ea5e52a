"""All images reach the agent once, in order, whatever answers first."""

from typing import Any

import numpy as np
import pytest

from dlagent.cli.agent_client import ModelInfo, TensorInfo
from dlagent_demo.classify import classify, top_class


class Echo:
    """An agent whose class is the image's first value."""

    def __init__(self, max_batch_size: int) -> None:
        self.max_batch_size = max_batch_size
        self.sizes: list[int] = []

    def model(self) -> ModelInfo:
        tensor = TensorInfo("image", "UINT8", (1,))
        return ModelInfo((tensor,), (TensorInfo("indices", "INT64", (3,)),), self.max_batch_size)

    def infer(self, _model: ModelInfo, inputs: dict[str, Any]) -> dict[str, Any]:
        images = inputs["image"]
        self.sizes.append(len(images))
        values = np.zeros((len(images), 3), np.float32)
        return {"values": values, "indices": np.tile(images, (1, 3)).astype(np.int64)}


@pytest.mark.parametrize("max_batch_size", [1, 8, 64])
def test_order_and_batches(max_batch_size: int) -> None:
    images = np.arange(100, dtype=np.uint8).reshape(-1, 1)
    agent = Echo(max_batch_size)
    heard: list[int] = []
    served = classify(agent, images, heard.append)  # type: ignore[arg-type]  # a stand-in by shape
    np.testing.assert_array_equal(served.classes, np.arange(100))
    assert sum(heard) == 100
    assert max(agent.sizes) <= max_batch_size
    assert served.accuracy(np.arange(100)) == 1.0


def test_top_class_of_an_argmax() -> None:
    np.testing.assert_array_equal(top_class({"class": np.array([3, 1])}), [3, 1])


def test_no_classes_in_the_answer() -> None:
    with pytest.raises(ValueError, match="no single output"):
        top_class({"logits": np.zeros((1, 10), np.float32)})
