"""Tensors: what they are called, made of, and shaped like."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dlagent.api.base import ApiModel, Rule, checked, map_by


class DataType(StrEnum):
    """Tensor element types, in Triton's names; BYTES is text, in outputs only."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"


_NOT_ZERO = checked(Rule("self != 0", "must not be 0; use -1 for a free axis"))
Axis = Annotated[int, Field(ge=-1, le=2**31 - 1, json_schema_extra=_NOT_ZERO)]

TensorName = Annotated[str, Field(min_length=1, max_length=256)]


class Tensor(ApiModel):
    """A named input or output, without its batch axis; -1 is a free axis."""

    name: TensorName
    """The tensor's name in the model."""
    data_type: DataType
    """The type of its elements."""
    shape: Annotated[list[Axis], Field(max_length=16)]
    """Its axes without the batch axis; -1 is a free axis."""


Tensors = Annotated[
    list[Tensor], Field(min_length=1, max_length=16, json_schema_extra=map_by("name"))
]
