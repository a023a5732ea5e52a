"""What may be done to the network to make it faster, and what must be left of its accuracy."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dlagent.api.base import ApiModel, Decimal, Rule, checked

DEFAULT_MAX_DROP_PERCENT = "1"
DEFAULT_EPOCHS = 6


class PrecisionChoice(StrEnum):
    """Which types the network may compute in."""

    AUTO = "Auto"
    FP32 = "FP32"
    FP16 = "FP16"
    INT8 = "INT8"


class EngineChoice(StrEnum):
    """What may run the network inside Triton."""

    AUTO = "Auto"
    ONNX_RUNTIME = "ONNXRuntime"


class Metric(StrEnum):
    """How accuracy is measured. Recall and F1 are means over the classes (macro)."""

    ACCURACY = "Accuracy"
    TOP_K = "TopK"
    RECALL = "Recall"
    F1 = "F1"
    MAX_ABS_ERROR = "MaxAbsError"


class Prune(ApiModel):
    """Whether channels may be removed."""

    channels_percent: Annotated[int, Field(ge=0, le=90)]
    """How many of each layer's channels are removed, in percent; 0 forbids it."""


class Gate(ApiModel):
    """The accuracy that an optimised version must keep to be allowed to serve."""

    model_config = {
        "json_schema_extra": checked(
            Rule(
                "has(self.k) == (has(self.metric) && self.metric == 'TopK')",
                "must be set with metric: TopK and with no other; for the best five write k: 5",
                ".k",
            ),
            Rule(
                "has(self.maxAbsError) == (has(self.metric) && self.metric == 'MaxAbsError')",
                "must be set with metric: MaxAbsError and with no other; it is in the unit of the"
                ' network\'s output, such as "0.05"',
                ".maxAbsError",
            ),
            Rule(
                "!has(self.maxDropPercent) || !(has(self.metric) && self.metric == 'MaxAbsError')",
                "has no meaning with metric: MaxAbsError; set maxAbsError",
                ".maxDropPercent",
            ),
            Rule(
                "!has(self.maxDropPercent) || (double(string(self.maxDropPercent)) > 0.0 &&"
                " double(string(self.maxDropPercent)) < 100.0)",
                'must be above 0 and below 100, such as "1" for one point; what loses nothing'
                " measurable needs a small number, not 0, which no number of examples can show",
                ".maxDropPercent",
            ),
            Rule(
                "!has(self.maxAbsError) || double(string(self.maxAbsError)) > 0.0",
                "must be above 0; the outputs of another precision are never the same to the last"
                " bit",
                ".maxAbsError",
            ),
        )
    }

    metric: Metric | None = None
    """Absent: Accuracy."""
    k: Annotated[int, Field(ge=1, le=1000)] | None = None
    """With metric TopK: the label must be among the best so many."""
    max_drop_percent: Decimal | None = None
    """How many points of 100 may be lost, at most. Absent: 1."""
    max_abs_error: Decimal | None = None
    """With metric MaxAbsError: how far any output may be from the source's."""
