"""A candidate: one optimised version of the source, as it is planned before anything is made.

Optimisations (dlagent.build.optimisations) plan candidates from `Facts`; the search decides how
much effort each one is worth; report.json tells of all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dlagent.api.types import ApiModel
from dlagent.domain.artifact.engine import CPU, Engine

TENSORRT = "tensorrt"  # what is told of where no engine can be tried
SOURCE = "fp32"  # the candidate that is the source itself; what all others are compared with

Option = str | int | float | bool


class Precision(StrEnum):
    """The type that most of a candidate's arithmetic is in."""

    FP32 = "FP32"
    FP16 = "FP16"
    INT8 = "INT8"


class Candidate(ApiModel):
    """One version: which optimisation makes it, of what, and with which options.

    `base` is the candidate that it is made from, None where that is the source. `trained`: more
    effort makes it more accurate, so that a first estimate is a pessimistic one. `smaller` is the
    candidate that is made the same way with fewer channels: it is never slower than this one.
    `engine` runs it.
    """

    name: str
    optimisation: str
    precision: Precision
    base: str | None = None
    options: dict[str, Option] = {}
    trained: bool = False
    smaller: str | None = None
    engine: Engine = Engine.ONNX_RUNTIME


class Skipped(ApiModel):
    """What was not planned, and why: it is listed in the report, never left out silently."""

    name: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """What one optimisation would try, and what of it cannot apply."""

    candidates: tuple[Candidate, ...] = ()
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True)
class Facts:
    """All that decides which candidates apply.

    `operators`: how many nodes of each operator the source's ONNX graph has; operators outside
    ONNX's own domain are named "domain::Operator". `train_examples` and `calibrate_examples` are 0
    without a data set. `forbidden` are the fields of spec.build that rule something out, such as
    `precision: FP32`; `channels_percent` is None where the strengths of pruning are chosen.
    `accelerator_lacks` says why nothing can be compared on the accelerator, None where it can;
    `product` is the one kind of accelerator that replicas have; `engine_refused` is why TensorRT
    takes no version, perceive and act included.
    """

    operators: Mapping[str, int]
    trainable: bool  # the source is an ExportedProgram: it can be taken apart and trained
    has_student: bool
    train_examples: int
    calibrate_examples: int
    labelled: bool
    instruction_set: str  # such as "avx512_vnni"; decides how INT8 is computed
    accelerator: str
    precision: Precision | None  # the only one that is allowed; None: all
    channels_percent: int | None  # 0: nothing may be pruned
    epochs: int
    accelerator_lacks: str | None = None
    product: str | None = None
    engine: Engine | None = None  # the only one that is allowed; None: all
    engine_refused: str | None = None

    @property
    def accelerated(self) -> bool:
        """Whether the agent is served on an accelerator."""
        return self.accelerator != CPU

    @property
    def compared_there(self) -> bool:
        """Whether it decides on an accelerator which candidate is the fastest."""
        return self.accelerated and self.accelerator_lacks is None
