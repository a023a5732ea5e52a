"""The Python step in front of the network in python_steps.yaml: pictures to what the network takes.

It does what the four perceive steps of agent.yaml do, to show how a script looks: those are faster.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MEAN, _DEVIATION = 0.286, 0.353


def step(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """UINT8 pictures [batch, 28, 28] to FP32 [batch, 1, 28, 28]."""
    picture = inputs["picture"].astype(np.float32) / np.float32(255)
    return {"image": ((picture - np.float32(_MEAN)) / np.float32(_DEVIATION))[:, np.newaxis]}
