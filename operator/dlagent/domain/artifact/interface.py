"""What an artifact is to those who serve it: its tensors and how long a batch takes."""

from typing import Annotated

from pydantic import Field

from dlagent.api.types import ApiModel, Tensor


class NetworkTensors(ApiModel):
    """What the network's member of an ensemble takes and gives.

    `inputs` None: what clients send, there is no Python step before it. `outputs` None: the answer,
    there is none after it.
    """

    inputs: list[Tensor] | None = None
    outputs: list[Tensor] | None = None


class ModelInterface(ApiModel):
    """The tensors as served, raw request in and answer out, without the batch axis.

    `batched` says whether there is a batch axis at all; without one, shapes are complete.
    `network` is there where Python steps make an ensemble of it. `max_batch` is the largest batch
    that an engine was made for; None where any is taken.
    """

    inputs: list[Tensor]
    outputs: list[Tensor]
    batched: bool
    network: NetworkTensors | None = Field(default=None, exclude_if=lambda value: value is None)
    max_batch: Annotated[int, Field(ge=1, le=16_384)] | None = Field(
        default=None, exclude_if=lambda value: value is None
    )


def served(tensor: Tensor) -> Tensor:
    """Triton has no scalars: one value an example is an axis of length 1."""
    return Tensor(name=tensor.name, data_type=tensor.data_type, shape=tensor.shape or [1])


class TauPoint(ApiModel):
    """The median time of one batch of `batch` examples, while all `instances` work at one each.

    Each instance computes on `threads` threads.
    """

    batch: Annotated[int, Field(ge=1, le=16_384)]
    milliseconds: Annotated[float, Field(ge=1e-6, le=1e7, allow_inf_nan=False)]
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    instances: Annotated[int, Field(ge=1, le=64)] = 1
