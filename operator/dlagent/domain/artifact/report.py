"""report.json: what a build tried, measured and decided, for people and programs.

The build writes it (dlagent.build.pipeline), `dlagent report` and the operator's status show it;
the pictures and report.html are made from it alone. Times are in milliseconds a batch on one
thread; accuracies and drops are shares, so that 0.01 is one point.
"""

from enum import StrEnum
from typing import Any

from pydantic import Field

from dlagent.api.types import ApiModel
from dlagent.domain.artifact.interface import TauPoint
from dlagent.domain.search.candidate import Option

FORMAT_VERSION = 2


class Verdict(StrEnum):
    """What became of a candidate."""

    CHOSEN = "Chosen"
    SLOWER = "Slower"  # good enough, but another is faster
    GATE_FAILED = "GateFailed"
    DROPPED = "Dropped"  # given up after an estimate
    FAILED = "Failed"  # could not be made, or does not run
    NOT_TRIED = "NotTried"  # the time was over
    NOT_APPLICABLE = "NotApplicable"


class Timing(ApiModel):
    """The time of a batch: the median of interleaved repeats, and an interval for it."""

    batch: int
    milliseconds: float
    low_milliseconds: float
    high_milliseconds: float


class GateResult(ApiModel):
    """A finalist before the gate: what it loses, and the bound that was held against the limit."""

    before: float
    after: float
    drop: float
    upper_bound: float | None = None  # None for MaxAbsError, which is a maximum
    level: float | None = None  # such as 0.95, after Holm's correction
    passed: bool


class CandidateReport(ApiModel):
    """One candidate, or one that could not be. `reason` is a sentence for people.

    `effort`: the share of the full work that the figures stand for. `select_metric` was seen on
    the selection examples, and served to choose; `gate` is of finalists only.
    """

    name: str
    verdict: Verdict
    reason: str
    optimisation: str | None = None
    precision: str | None = None
    base: str | None = None
    options: dict[str, Option] = {}
    notes: dict[str, str] = {}
    effort: float | None = None
    seconds: float | None = None
    size_bytes: int | None = None
    timings: list[Timing] = []
    select_metric: float | None = None
    gate: GateResult | None = None


class ClassReport(ApiModel):
    """One class on the gate's examples, as the source and as the chosen candidate know it."""

    label: int
    examples: int
    recall_before: float
    recall_after: float
    precision_before: float
    precision_after: float


class DataReport(ApiModel):
    """The data set: how many examples went where, by part."""

    uri: str
    sha256: str
    examples: int
    duplicates: int
    parts: dict[str, int]
    classes: int | None = None


class GateReport(ApiModel):
    """What was promised about accuracy and what the winner keeps of it."""

    metric: str
    limit: float  # the largest drop as a share, or the largest error for MaxAbsError
    before: float
    after: float
    per_class: list[ClassReport] = []


class SourceReport(ApiModel):
    uri: str
    sha256: str
    size_bytes: int


class Report(ApiModel):
    """One build. `request` is what `dlagent build` needs to do it again."""

    format_version: int = FORMAT_VERSION
    key: str
    source: SourceReport
    request: dict[str, Any]
    chosen: str
    candidates: list[CandidateReport]
    data: DataReport | None = None
    gate: GateReport | None = None
    parity_largest_error: float
    batched: bool
    tau: list[TauPoint]
    tau_measured_on: str | None = None
    machine: dict[str, str] = Field(default_factory=dict)
    stage_seconds: dict[str, float] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n"
