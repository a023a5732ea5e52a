"""What an artifact is to those who serve it: its tensors and how long a batch takes."""

from dlagent.api.types import ApiModel, Tensor


class ModelInterface(ApiModel):
    """The tensors as served, raw request in and answer out, without the batch axis.

    `batched` says whether there is a batch axis at all; without one, shapes are complete.
    """

    inputs: list[Tensor]
    outputs: list[Tensor]
    batched: bool


class TauPoint(ApiModel):
    """The median time of one batch of `batch` examples, on one thread."""

    batch: int
    milliseconds: float
