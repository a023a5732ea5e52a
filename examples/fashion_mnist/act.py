"""The Python step after the network in python_steps.yaml: logits to the three likeliest classes.

It does what the two act steps of agent.yaml do, to show how a script looks: those are faster.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHOWN = 3


def step(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """FP32 logits [batch, 10] to FP32 values and INT64 indices, [batch, 3] each."""
    logits = inputs["logits"]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    indices = np.argsort(-probabilities, axis=1, kind="stable")[:, :_SHOWN]
    return {"values": np.take_along_axis(probabilities, indices, axis=1), "indices": indices}
