"""Perceive and act: the steps before and after the network, which become part of the artifact."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dlagent.api.base import ApiModel, Decimal, Rule, checked, exactly_one
from dlagent.api.python_step import (
    ACT_RULES,
    FIRST_RULE,
    LAST_RULE,
    PERCEIVE_RULES,
    PythonStep,
)
from dlagent.api.tensors import Axis, DataType, TensorName

_STEP_REMEDY = "write each step as an item of its own"
# A request for a build is one environment variable, which Linux limits to 128 KiB.
_LABEL_BYTES = 32_768


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
                "must be above 0, since it divides; remove what does not vary, or use 1",
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

    data_type: Annotated[
        DataType,
        Field(
            json_schema_extra=checked(
                Rule(
                    "self != 'BYTES'",
                    "must not be BYTES, since a network takes numbers; name a type of numbers",
                )
            )
        ),
    ]
    """The new type."""


class Layout(StrEnum):
    """The order of a picture's axes: channels (C), rows (H), columns (W)."""

    CHW = "CHW"
    HWC = "HWC"


class Interpolation(StrEnum):
    BILINEAR = "Bilinear"
    NEAREST = "Nearest"


Pixels = Annotated[int, Field(ge=1, le=8192)]


class Resize(ApiModel):
    """Gives a picture another height and width."""

    height: Pixels
    """The new height."""
    width: Pixels
    """The new width."""
    layout: Layout
    """Which axes of the picture are channels, rows, columns."""
    interpolation: Interpolation = Interpolation.BILINEAR
    """How values between pixels are found; neither smooths before it shrinks (no antialias)."""


class CenterCrop(ApiModel):
    """Cuts the middle out of a picture."""

    height: Pixels
    """The height of what is left."""
    width: Pixels
    """The width of what is left."""
    layout: Layout
    """Which axes of the picture are channels, rows, columns."""


class OneHot(ApiModel):
    """Makes a row of zeros with a one at its place of each whole number, as a new last axis."""

    depth: Annotated[int, Field(ge=2, le=65_536)]
    """How many places there are; a number outside of them becomes zeros only."""


class PerceiveStep(ApiModel):
    """One pre-processing step: exactly one field is set, beside `input`."""

    model_config = {
        "json_schema_extra": checked(
            exactly_one(
                *("scale", "normalize", "resize", "centerCrop", "reshape", "transpose", "cast"),
                *("oneHot", "python"),
                remedy=_STEP_REMEDY,
            ),
            *PERCEIVE_RULES,
        )
    }

    input: TensorName | None = None
    """Which of the agent's inputs the step is for; needed where there are several."""

    scale: Scale | None = None
    """Multiplies each element."""
    normalize: Normalize | None = None
    """Subtracts mean and divides by std."""
    resize: Resize | None = None
    """Gives a picture another height and width."""
    center_crop: CenterCrop | None = None
    """Cuts the middle out of a picture."""
    reshape: Reshape | None = None
    """Gives the elements another shape."""
    transpose: Transpose | None = None
    """Puts the axes into another order."""
    cast: Cast | None = None
    """Converts the elements to another type."""
    one_hot: OneHot | None = None
    """Makes a row of zeros with a one at its place of each whole number, as a new last axis."""
    python: PythonStep | None = None
    """Calls a script of yours on all inputs, as the first step."""


class Softmax(ApiModel):
    """Over the last axis."""


class ArgMax(ApiModel):
    """Index of the largest value of the last axis."""


class TopK(ApiModel):
    """The largest values of the last axis, and their indices."""

    k: Annotated[int, Field(ge=1, le=10_000)]
    """How many."""


class Sigmoid(ApiModel):
    """Of each element: 1 / (1 + exp(-x))."""


class Threshold(ApiModel):
    """Says of each element whether it is above a value."""

    value: Decimal
    """What must be exceeded, such as "0.5"; an element that equals it is not above it."""


Label = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        json_schema_extra=checked(
            Rule(
                r"!self.matches('[\\x00-\\x1f\\x7f]')",
                "must not contain control characters; write the label on one line",
            )
        ),
    ),
]


class LabelNames(ApiModel):
    """Gives the index that argmax found, or the indices that topK found, their names."""

    values: Annotated[
        list[Label],
        Field(
            min_length=1,
            max_length=2048,
            json_schema_extra=checked(
                Rule(
                    f"size(bytes(self.join(''))) <= {_LABEL_BYTES}",
                    f"must have at most {_LABEL_BYTES} bytes in all; shorten the labels",
                )
            ),
        ),
    ]
    """The name of each class, in the order of the network's output."""


class MeanPooling(ApiModel):
    """Makes one vector of a row of tokens: the mean of those that the mask does not hide."""

    mask: TensorName
    """The agent's input that says which tokens count, such as attention_mask."""


class L2Normalize(ApiModel):
    """Brings each vector along the last axis to length 1."""


class ActStep(ApiModel):
    """One post-processing step: exactly one field is set, beside `output`."""

    model_config = {
        "json_schema_extra": checked(
            exactly_one(
                *("softmax", "sigmoid", "argmax", "topK", "threshold", "labels", "meanPooling"),
                *("l2Normalize", "python"),
                remedy=_STEP_REMEDY,
            ),
            *ACT_RULES,
        )
    }

    output: TensorName | None = None
    """On the first step: which of the network's outputs act is for; needed where there are several.
    The others are answered as they are."""
    softmax: Softmax | None = None
    """Makes probabilities of the last axis."""
    sigmoid: Sigmoid | None = None
    """Makes a probability of each element."""
    argmax: ArgMax | None = None
    """Index of the largest value of the last axis."""
    top_k: TopK | None = None
    """The largest values of the last axis, and their indices."""
    threshold: Threshold | None = None
    """Says of each element whether it is above a value."""
    labels: LabelNames | None = None
    """Names in place of the index of argmax or the indices of topK."""
    mean_pooling: MeanPooling | None = None
    """Makes one vector of a row of tokens: the mean of those that the mask does not hide."""
    l2_normalize: L2Normalize | None = None
    """Brings each vector along the last axis to length 1."""
    python: PythonStep | None = None
    """Calls a script of yours on all outputs, as the last step."""


def _chose(step: str) -> str:
    return f"(has({step}.argmax) || has({step}.topK))"


_LAST, _BEFORE_LAST = "self[size(self) - 1]", "self[size(self) - 2]"

PerceiveSteps = Annotated[
    list[PerceiveStep], Field(max_length=16, json_schema_extra=checked(FIRST_RULE))
]
ActSteps = Annotated[
    list[ActStep],
    Field(
        max_length=8,
        json_schema_extra=checked(
            Rule(
                "!self.exists(step, has(step.labels)) || (size(self) >= 2 &&"
                f" has({_LAST}.labels) && {_chose(_BEFORE_LAST)} &&"
                " self.exists_one(step, has(step.labels)))",
                "labels must be the last step, right after argmax or topK, whose indices it names;"
                " move it there",
            ),
            Rule(
                f"!self.exists(step, {_chose('step')}) ||"
                f" (self.exists_one(step, {_chose('step')}) && ({_chose(_LAST)} ||"
                f" (size(self) >= 2 && {_chose(_BEFORE_LAST)} &&"
                f" (has({_LAST}.labels) || has({_LAST}.python)))))",
                "nothing but labels or python can follow argmax or topK; move the other steps"
                " before it",
            ),
            LAST_RULE,
            Rule(
                "self.filter(step, has(step.output)).size() <="
                " (size(self) > 0 && has(self[0].output) ? 1 : 0)",
                "only the first step may have output, since the others work on what it made;"
                " remove output from the others",
            ),
        ),
    ),
]
