"""Sends all test images through an agent's URL and counts the right answers."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlagent.cli.agent_client import AgentClient, Answer

# So few at a time that a slow machine keeps the agent's promise of 50 ms too; more at a time make
# next to nothing quicker, since one replica computes all of them. And so many requests that the
# operator can judge: it needs 1,000.
IMAGES_A_REQUEST = 8
THREADS = 2


@dataclass(frozen=True)
class Served:
    """What the agent answered."""

    classes: NDArray[np.int64]
    seconds: float
    requests: int

    @property
    def images_per_second(self) -> float:
        """Throughput, client and server on the same machine or not."""
        return len(self.classes) / self.seconds

    def accuracy(self, labels: NDArray[Any]) -> float:
        """The share of right answers."""
        return float(np.mean(self.classes == labels))


def top_class(answer: Answer) -> NDArray[np.int64]:
    """The first class of each example: from a topK's indices, or an argmax."""
    whole = [value for value in answer.values() if value.dtype.kind in "iu"]
    if len(whole) != 1:
        raise ValueError(f"no single output holds classes: {', '.join(answer)}")
    best: NDArray[np.int64] = whole[0].reshape(len(whole[0]), -1)[:, 0].astype(np.int64)
    return best


def classify(
    client: AgentClient, images: NDArray[np.uint8], advance: Callable[[int], None]
) -> Served:
    """The class of each image; `advance` hears how many more were answered.

    Raises:
        CliError: a request failed; none is tried again.
    """
    model = client.model()
    size = max(1, min(IMAGES_A_REQUEST, model.max_batch_size))
    name = model.inputs[0].name
    parts = [images[first : first + size] for first in range(0, len(images), size)]

    def ask(part: NDArray[np.uint8]) -> NDArray[np.int64]:
        found = top_class(client.infer(model, {name: part}))
        advance(len(part))
        return found

    began = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        classes = np.concatenate(list(pool.map(ask, parts)))
    return Served(classes, time.monotonic() - began, len(parts))
