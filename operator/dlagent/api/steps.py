"""Perceive and act: the steps before and after the network, which become part of the artifact."""

from typing import Annotated

from pydantic import Field

from dlagent.api.base import ApiModel, Decimal, Rule, checked, exactly_one
from dlagent.api.tensors import Axis, DataType

_STEP_REMEDY = "write each step as an item of its own"


class Scale(ApiModel):
    """Multiplies each element."""

    multiply: Annotated[
        Decimal,
        Field(
            json_schema_extra=checked(
                Rule(
                    "double(string(self)) != 0.0",
                    "must not be 0, which would erase the input; to bring 0..255 into 0..1 write"
                    ' "0.00392156862745098"',
                )
            )
        ),
    ]
    """The factor, such as "0.00392156862745098" for 1/255."""


Decimals = Annotated[list[Decimal], Field(min_length=1, max_length=64)]


class Normalize(ApiModel):
    """Subtracts mean and divides by std, for each channel (the first axis) or for all alike."""

    model_config = {
        "json_schema_extra": checked(
            Rule(
                "size(self.mean) == size(self.std)",
                "mean and std must have as many values as each other: one for all channels, or one"
                " a channel",
            ),
            Rule(
                "self.std.all(value, double(string(value)) > 0.0)",
                "std must be above 0, since it divides; remove what does not vary, or use 1",
                ".std",
            ),
        )
    }

    mean: Decimals
    """One value for all channels, or one a channel."""
    std: Decimals
    """One value for all channels, or one a channel; above 0."""


class Reshape(ApiModel):
    """Gives the elements another shape."""

    shape: Annotated[
        list[Axis],
        Field(
            min_length=1,
            max_length=16,
            json_schema_extra=checked(
                Rule(
                    "self.filter(axis, axis == -1).size() <= 1",
                    "at most one axis may be -1, since it follows from the others; write the"
                    " others out",
                )
            ),
        ),
    ]
    """The new shape without the batch axis; one axis may be -1."""


class Transpose(ApiModel):
    """Puts the axes into another order."""

    axes: Annotated[
        list[Annotated[int, Field(ge=0, le=15)]],
        Field(
            min_length=1,
            max_length=16,
            json_schema_extra=checked(
                Rule(
                    "self.all(axis, axis < size(self) && self.exists_one(other, other == axis))",
                    "must name each axis from 0 once, without the batch axis; from HWC to CHW"
                    " write [2, 0, 1]",
                )
            ),
        ),
    ]
    """The old position of each axis, without the batch axis: [2, 0, 1] makes CHW of HWC."""


class Cast(ApiModel):
    """Converts the elements to another type."""

    data_type: DataType
    """The new type."""


class PerceiveStep(ApiModel):
    """One pre-processing step: exactly one field is set."""

    model_config = {
        "json_schema_extra": checked(
            exactly_one("scale", "normalize", "reshape", "transpose", "cast", remedy=_STEP_REMEDY)
        )
    }

    scale: Scale | None = None
    """Multiplies each element."""
    normalize: Normalize | None = None
    """Subtracts mean and divides by std."""
    reshape: Reshape | None = None
    """Gives the elements another shape."""
    transpose: Transpose | None = None
    """Puts the axes into another order."""
    cast: Cast | None = None
    """Converts the elements to another type."""


class Softmax(ApiModel):
    """Over the last axis."""


class ArgMax(ApiModel):
    """Index of the largest value of the last axis."""


class TopK(ApiModel):
    """The largest values of the last axis, and their indices."""

    k: Annotated[int, Field(ge=1, le=10_000)]
    """How many."""


class ActStep(ApiModel):
    """One post-processing step: exactly one field is set."""

    model_config = {
        "json_schema_extra": checked(exactly_one("softmax", "argmax", "topK", remedy=_STEP_REMEDY))
    }

    softmax: Softmax | None = None
    """Makes probabilities of the last axis."""
    argmax: ArgMax | None = None
    """Index of the largest value of the last axis."""
    top_k: TopK | None = None
    """The largest values of the last axis, and their indices."""
