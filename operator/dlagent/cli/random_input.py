"""An input for an agent when nobody has one at hand. Called by `dlagent bench`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.utils import triton_to_np_dtype  # type: ignore[import-untyped]  # ships no types

from dlagent.cli.agent_client import ModelInfo, TensorInfo
from dlagent.cli.errors import CliError
from dlagent.cli.inputs import Inputs


def random_inputs(model: ModelInfo, generator: np.random.Generator) -> Inputs:
    """One example of random numbers for each input, with a batch axis where the model has one.

    Bytes take all their values, floats a normal distribution; other integers and truth values are
    0 or 1, since a larger one may be the index of something that is not there. A free axis is 1.

    Raises:
        CliError: an input takes no numbers.
    """
    batch = (1,) if model.batched else ()
    return {t.name: _tensor(t, batch, generator) for t in model.inputs}


def _tensor(
    tensor: TensorInfo, batch: tuple[int, ...], generator: np.random.Generator
) -> NDArray[Any]:
    shape = (*batch, *(1 if axis < 0 else axis for axis in tensor.shape))
    if tensor.data_type == "BYTES":
        raise CliError(f"input {tensor.name} takes text, which cannot be made up: give --input")
    wanted = np.dtype(triton_to_np_dtype(tensor.data_type))
    if wanted.kind == "f":
        return generator.standard_normal(shape).astype(wanted)
    highest = 255 if wanted == np.uint8 else 1
    return generator.integers(0, highest, shape, endpoint=True).astype(wanted)
