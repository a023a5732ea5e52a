"""report.json: what a build tried, measured and decided, for people and programs.

The build writes it (dlagent.build.pipeline), `dlagent report` and the operator's status show it;
the pictures and report.html are made from it alone. Times are in milliseconds a batch on one
thread; accuracies and drops are shares, so that 0.01 is one point. docs/reference/report.md and
its JSON schema are generated from these types (dlagent.report.generate).
"""

import json
from enum import StrEnum
from typing import Any

from pydantic import Field, ValidationError

from dlagent.api.types import ApiModel
from dlagent.domain.artifact.interface import TauPoint
from dlagent.domain.search.candidate import Option

FORMAT_VERSION = 2


class ReportError(ValueError):
    """A report that cannot be read; the message says why and what to do."""


class Verdict(StrEnum):
    """What became of a candidate."""

    CHOSEN = "Chosen"
    SLOWER = "Slower"  # good enough, but another is faster
    GATE_FAILED = "GateFailed"
    DROPPED = "Dropped"  # given up after an estimate
    FAILED = "Failed"  # could not be made, or does not run
    NOT_TRIED = "NotTried"  # the time was over, or it could not have won
    NOT_APPLICABLE = "NotApplicable"


class Timing(ApiModel):
    """The time of a batch: the median of interleaved repeats, and an interval for it."""

    batch: int
    """How many examples are in the batch."""
    milliseconds: float
    """The median."""
    low_milliseconds: float
    """The lower end of the interval."""
    high_milliseconds: float
    """Its upper end. Candidates whose intervals overlap are equally fast."""


class GateResult(ApiModel):
    """A finalist before the gate: what it loses, and the bound that was held against the limit."""

    before: float
    """The metric of the source on the gate's examples; 0 for MaxAbsError."""
    after: float
    """The metric of the candidate on them."""
    drop: float
    """How much is lost; for MaxAbsError the largest error."""
    upper_bound: float | None = None
    """The drop is below it, but for a small chance. Absent for MaxAbsError, which is a maximum."""
    level: float | None = None
    """How sure the bound is, such as 0.95, after Holm's correction."""
    passed: bool
    """Whether the bound, or the error, is within the limit."""


class CandidateReport(ApiModel):
    """One candidate, or one that could not be."""

    name: str
    """Its name; that of the source itself is fp32."""
    verdict: Verdict
    """What became of it."""
    reason: str
    """Why, as a sentence for people."""
    optimisation: str | None = None
    """Which optimisation makes it."""
    precision: str | None = None
    """The type that most of its arithmetic is in."""
    base: str | None = None
    """The candidate that it is made from. Absent: the source."""
    options: dict[str, Option] = {}
    """How it is made."""
    notes: dict[str, str] = {}
    """What turned out when it was made, such as the layers that stay in FP32."""
    effort: float | None = None
    """The share of the full work that its figures stand for; below 1 they are an estimate."""
    seconds: float | None = None
    """How long it took to make and judge."""
    size_bytes: int | None = None
    """The size of its network."""
    timings: list[Timing] = []
    """How fast it is, by batch."""
    select_metric: float | None = None
    """The metric on the selection examples, which served to choose; for MaxAbsError the error."""
    gate: GateResult | None = None
    """How it fared before the gate. Finalists alone come so far."""


class ClassReport(ApiModel):
    """One class on the gate's examples, as the source and as the chosen candidate know it."""

    label: int
    """The number of the class."""
    name: str | None = None
    """Its name, where the agent gives labels."""
    examples: int
    """How many of the gate's examples are of it."""
    recall_before: float
    """The share of them that the source finds."""
    recall_after: float
    """The share of them that the chosen candidate finds."""
    precision_before: float
    """The share that is right of what the source takes for this class."""
    precision_after: float
    """The same of the chosen candidate."""


class DataReport(ApiModel):
    """The data set: how many examples went where, by part."""

    uri: str
    """Where it lies."""
    sha256: str
    """The digest of what was read."""
    examples: int
    """How many there are, without duplicates."""
    duplicates: int
    """How many were left out, since another one is equal."""
    parts: dict[str, int]
    """How many are in each part: train, calibrate, select, gate."""
    classes: int | None = None
    """How many classes there are."""


class GateReport(ApiModel):
    """What was promised about accuracy and what the winner keeps of it."""

    metric: str
    """What is measured: Accuracy, TopK, Recall, F1 or MaxAbsError."""
    limit: float
    """The largest drop as a share, or the largest error for MaxAbsError."""
    before: float
    """The metric of the source on the gate's examples."""
    after: float
    """The metric of the chosen candidate on them."""
    per_class: list[ClassReport] = []
    """Each class, where the data set has labels."""


class SourceReport(ApiModel):
    """The model as the user has it."""

    uri: str
    """Where it lies."""
    sha256: str
    """The digest of what was read."""
    size_bytes: int
    """The size of the file."""


class Report(ApiModel):
    """One build."""

    format_version: int = FORMAT_VERSION
    """Raised when a field changes its meaning; new fields do not raise it."""
    key: str
    """The artifact's name in the store: SHA-256 of all that decides its content."""
    source: SourceReport
    """What the artifact is made from."""
    request: dict[str, Any]
    """What was asked for, as `dlagent build --report` takes it to do it again."""
    chosen: str
    """The name of the candidate that is served."""
    candidates: list[CandidateReport]
    """All that were thought of, also those that were not tried."""
    data: DataReport | None = None
    """The data set. Absent: there was none."""
    gate: GateReport | None = None
    """What was promised about accuracy. Absent: nothing was."""
    parity_largest_error: float
    """How far the artifact in FP32 is from the source at most, on random inputs."""
    batched: bool
    """Whether a request may be one of several in a batch."""
    not_batched_because: str | None = None
    """Why it may not, where the network has a batch axis that cannot be used."""
    tau: list[TauPoint]
    """How long a batch takes in the end, perceive and act included."""
    tau_measured: str | None = None
    """How that was measured: on which Triton, in how many trials; or in process, and why."""
    tau_measured_on: str | None = None
    """The accelerator that is simulated. Absent: the times are of real hardware."""
    machine: dict[str, str] = Field(default_factory=dict)
    """What it was measured on. `comparedOn`: the accelerator that versions were compared on; absent
    where that was one thread of the CPU."""
    stage_seconds: dict[str, float] = Field(default_factory=dict)
    """How long each stage took."""
    versions: dict[str, str] = Field(default_factory=dict)
    """The versions of what built it."""

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n"


def parse_report(text: str | bytes) -> Report:
    """The report in the text of a report.json.

    Raises:
        ReportError: it is none, or one of another format.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ReportError(f"not JSON: {error}") from error
    version = content.get("formatVersion") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise ReportError("no report of a build: it has no formatVersion")
    if version < FORMAT_VERSION:
        raise ReportError(
            f"built by an older DLAgent (report format {version}, this one reads"
            f" {FORMAT_VERSION}): build it again with this one, by `dlagent build` or its operator"
        )
    if version > FORMAT_VERSION:
        raise ReportError(
            f"built by a newer DLAgent (report format {version}, this one reads"
            f" {FORMAT_VERSION}): read it with a newer one"
        )
    try:
        return Report.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ReportError(f"damaged: {where}: {first['msg']}") from error
