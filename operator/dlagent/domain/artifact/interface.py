"""What an artifact is to those who serve it: its tensors and how long a batch takes."""

from typing import Annotated

from pydantic import Field

from dlagent.api.types import ApiModel, Tensor


class ModelInterface(ApiModel):
    """The tensors as served, raw request in and answer out, without the batch axis.

    `batched` says whether there is a batch axis at all; without one, shapes are complete.
    """

    inputs: list[Tensor]
    outputs: list[Tensor]
    batched: bool


class TauPoint(ApiModel):
    """The median time of one batch of `batch` examples, while all `instances` work at one each.

    Each instance computes on `threads` threads.
    """

    batch: Annotated[int, Field(ge=1, le=16_384)]
    milliseconds: Annotated[float, Field(ge=1e-6, le=1e7, allow_inf_nan=False)]
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    instances: Annotated[int, Field(ge=1, le=64)] = 1
