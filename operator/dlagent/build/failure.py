"""How a stage says that the build cannot go on, and how that and all else is told in the end."""

from collections.abc import Callable
from typing import TypeVar

from dlagent.adapters.store import ArtifactCorruptError, ArtifactMissingError, is_out_of_space
from dlagent.build.progress import Progress
from dlagent.domain.artifact.candidates import with_candidates
from dlagent.domain.artifact.report import CandidateReport
from dlagent.domain.artifact.summary import FailureReason, Summary, failed

Made = TypeVar("Made")

_CHARACTERS = 300


class BuildError(Exception):
    """`message` names the cause and the remedy; `told` puts the stage before it."""

    def __init__(self, reason: FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class MachineGoneError(Exception):
    """What networks are run on has gone: none of them is to blame, and another try may help.

    No BuildError, which may be one network's failure among several.
    """


class GateFailedError(BuildError):
    """Nothing that may serve keeps the accuracy; `candidates` is what was tried, by `metric`."""

    def __init__(self, message: str, candidates: list[CandidateReport], metric: str) -> None:
        super().__init__(FailureReason.GATE_FAILED, message)
        self.candidates = candidates
        self.metric = metric


def told(progress: Progress, work: Callable[[], Made]) -> Made | Summary:
    """What `work` makes, or the summary of how it failed. Never raises but on interruption."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001  # the process boundary: it must be reported
        return _summary(progress.stage, error)


def _summary(stage: str, error: Exception) -> Summary:
    reason, message = _explained(error)
    summary = failed(reason, f"{stage}: {message}")
    if isinstance(error, GateFailedError):
        return with_candidates(summary, error.candidates, error.metric)
    return summary


def _explained(error: Exception) -> tuple[FailureReason, str]:
    if isinstance(error, BuildError):
        return error.reason, error.message
    if isinstance(error, MachineGoneError):
        return FailureReason.INTERNAL, str(error)
    if isinstance(error, (ArtifactCorruptError, ArtifactMissingError)):
        return FailureReason.INTERNAL, f"the store: {error}"
    if isinstance(error, OSError) and is_out_of_space(error):
        return FailureReason.NO_SPACE, (
            f"no space left ({error.filename or 'on the store or in scratch'}); enlarge the"
            " volume, or delete artifacts that no agent uses"
        )
    if isinstance(error, OSError):
        return FailureReason.INTERNAL, f"{error}"
    if isinstance(error, MemoryError):
        text = "out of memory; raise spec.build.resources.limits.memory"
        return FailureReason.INTERNAL, text
    first = f"{type(error).__name__}: {error}".splitlines()[0][:_CHARACTERS]
    return FailureReason.INTERNAL, f"{first}; this is a fault of DLAgent"
