"""An artifact as those who serve it need it: a summary of a build that succeeded, complete."""

from dataclasses import dataclass

from dlagent.api.status import CandidateStatus
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.interface import ModelInterface, TauPoint
from dlagent.domain.artifact.selfcheck import SelfCheck
from dlagent.domain.artifact.summary import Outcome, Summary


@dataclass(frozen=True)
class Accuracy:
    """What the gate's examples say, of the source and of the artifact."""

    metric: str
    baseline: str
    value: str


@dataclass(frozen=True)
class Artifact:
    key: str
    source_sha256: str
    engine: Engine
    precision: str
    size_bytes: int
    interface: ModelInterface
    tau: tuple[TauPoint, ...]
    self_check: SelfCheck
    accuracy: Accuracy | None = None
    speedup: str | None = None
    no_tensorrt: str | None = None
    candidates: tuple[CandidateStatus, ...] = ()


def artifact_of(summary: Summary | None) -> Artifact | None:
    """None where the build failed, or told less than is needed to serve what it made.

    So it is where its engine is none that this operator knows.
    """
    if (
        summary is None
        or summary.outcome is Outcome.FAILED
        or summary.key is None
        or summary.source_sha256 is None
        or summary.engine not in set(Engine)
        or summary.interface is None
        or summary.self_check is None
    ):
        return None
    return Artifact(
        key=summary.key,
        source_sha256=summary.source_sha256,
        engine=Engine(summary.engine),
        precision=summary.precision or "",
        size_bytes=summary.size_bytes or 0,
        interface=summary.interface,
        tau=tuple(summary.tau),
        self_check=summary.self_check,
        accuracy=_accuracy(summary),
        speedup=summary.speedup,
        no_tensorrt=summary.no_tensorrt,
        candidates=tuple(summary.candidates),
    )


def _accuracy(summary: Summary) -> Accuracy | None:
    if summary.metric is None or summary.baseline is None or summary.value is None:
        return None
    return Accuracy(summary.metric, summary.baseline, summary.value)
