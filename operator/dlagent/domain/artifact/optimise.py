"""What may be tried to make a network faster, and what must be left: a part of the build request.

Made of spec.build by dlagent.domain.artifact.request; read by dlagent.build.optimise.
"""

from typing import Any

from dlagent.api.types import (
    DEFAULT_EPOCHS,
    DEFAULT_MAX_DROP_PERCENT,
    ApiModel,
    Build,
    Gate,
    Metric,
    PrecisionChoice,
    Source,
)
from dlagent.domain.artifact.decimals import canonical_decimal
from dlagent.domain.gate.limit import Limit
from dlagent.domain.gate.metrics import Metric as Judged
from dlagent.domain.search.candidate import Precision

_PRECISIONS = {
    PrecisionChoice.AUTO: None,
    PrecisionChoice.FP32: Precision.FP32,
    PrecisionChoice.FP16: Precision.FP16,
    PrecisionChoice.INT8: Precision.INT8,
}


class PinnedFile(ApiModel):
    """A file, and the digest that its content must have."""

    uri: str
    sha256: str


class Optimise(ApiModel):
    """What may be tried to make the network faster, and what must be left of its accuracy.

    `max_drop` is in percent, or in the output's unit with MaxAbsError; `precision` is the only one
    allowed, `channels_percent` the only strength of pruning, where they are given.
    """

    dataset: PinnedFile
    student: PinnedFile | None = None
    metric: Metric
    k: int | None = None
    max_drop: str
    precision: Precision | None = None
    channels_percent: int | None = None
    epochs: int
    time_budget_minutes: int | None = None

    def limit(self) -> Limit:
        """What may be lost."""
        scale = 1.0 if self.metric is Metric.MAX_ABS_ERROR else 0.01
        return Limit(Judged(self.metric, self.k or 1), float(self.max_drop) * scale)


def optimise_of(build: Build) -> Optimise | None:
    """None without a data set: then nothing is tried that changes an answer."""
    dataset = _pinned(build.dataset)
    return optimise_on(build, dataset) if dataset is not None else None


def optimise_on(build: Build, dataset: PinnedFile) -> Optimise:
    """What `build` asks for, judged on this data set."""
    gate = build.gate or Gate()
    metric = gate.metric or Metric.ACCURACY
    drop = gate.max_abs_error if metric is Metric.MAX_ABS_ERROR else gate.max_drop_percent
    return Optimise(
        dataset=dataset,
        student=_pinned(build.distill.student) if build.distill else None,
        metric=metric,
        k=gate.k,
        max_drop=canonical_decimal(DEFAULT_MAX_DROP_PERCENT if drop is None else drop),
        precision=_PRECISIONS[build.precision],
        channels_percent=build.prune.channels_percent if build.prune else None,
        epochs=build.distill.epochs if build.distill else DEFAULT_EPOCHS,
        time_budget_minutes=build.time_budget_minutes,
    )


def _pinned(source: Source | None) -> PinnedFile | None:
    """None also where there is no digest, which admission refuses."""
    if source is None or source.sha256 is None:
        return None
    return PinnedFile(uri=source.uri, sha256=source.sha256)


def search_seconds(build: Build) -> float:
    """How long versions may be tried."""
    if build.time_budget_minutes is not None:
        return build.time_budget_minutes * 60.0
    return build.timeout_minutes * 30.0


def optimise_inputs(optimise: Optimise | None) -> dict[str, Any] | None:
    """What decides the choice, without where the files lie: their digests say what they are."""
    if optimise is None:
        return None
    plain = optimise.model_dump(mode="json", by_alias=True)
    student = optimise.student.sha256 if optimise.student else None
    return plain | {"dataset": optimise.dataset.sha256, "student": student}
