"""Why a build failed or does not get on, and what a person can do about it."""

from dataclasses import dataclass, replace

from dlagent.api.conditions import Reason
from dlagent.domain.artifact.summary import EXIT_TERMINAL, FailureReason, Outcome
from dlagent.domain.build.containers import IN_ORDER
from dlagent.domain.rollout.seen import Agent, Job, Pod, told_by
from dlagent.domain.status.trouble import Trouble, first_trouble, pod_trouble

_PART = "spec.build"
_RETRY = "dlagent.io/retry"

_REMEDIES = {
    FailureReason.SOURCE_UNAVAILABLE: "Check that spec.model.source.uri names a file that exists.",
    FailureReason.DIGEST_MISMATCH: (
        "Set spec.model.source.sha256 to the digest of the file that you want, or put the right"
        " file back."
    ),
    FailureReason.SOURCE_TOO_LARGE: (
        "Use a smaller file, or raise builder.maxSourceBytes in the operator's settings."
    ),
    FailureReason.INVALID_MODEL: (
        "Upload the file again, and check that spec.model.format says what it is."
    ),
    FailureReason.UNSUPPORTED_OPERATOR: ("Export the model with operators that ONNX Runtime has."),
    FailureReason.PICKLE_REFUSED: (
        "A pickle can run any code. Save the model with torch.export.save (.pt2) or as ONNX."
    ),
    FailureReason.SHAPE_MISMATCH: (
        "Correct spec.model.inputs, spec.model.outputs, spec.perceive or spec.act."
    ),
    FailureReason.PARITY_FAILED: (
        "The converted model does not compute what the source computes: export it to ONNX yourself,"
        " or report the model."
    ),
    FailureReason.PYTHON_STEP_FAILED: (
        "Correct the script in the ConfigMap, or the outputs of the python step in the spec."
    ),
    FailureReason.INVALID_DATASET: (
        "Correct the file that spec.build.dataset.uri names; docs/explanation/gate.md says what it"
        " holds."
    ),
    FailureReason.GATE_FAILED: (
        "Allow more in spec.build.gate, give more examples where there are too few, or build with"
        " other options of spec.build."
    ),
    FailureReason.INVALID_PATH: "Correct the path in spec.model.source.uri.",
    FailureReason.NO_SPACE: (
        "Raise the size of the PersistentVolumeClaim dlagent-artifacts, or delete artifacts in it."
    ),
    FailureReason.INTERNAL: "See the logs of the build's Job.",
}


@dataclass(frozen=True)
class BuildFailure:
    """`terminal`: trying again with the same inputs cannot help."""

    reason: str
    message: str
    terminal: bool


def build_failure(job: Job, agent: Agent) -> BuildFailure:
    """The cause of a Job that failed."""
    trouble = first_trouble(tuple(map(_own_first, job.pods[-1:])), _PART)
    if job.failure == "DeadlineExceeded":
        return _timed_out(agent, trouble)
    told = job.result
    if trouble is not None and trouble.reason == Reason.OUT_OF_MEMORY:
        return BuildFailure(trouble.reason, trouble.message, terminal=True)
    if told is not None and told.outcome is Outcome.FAILED:
        reason = told.reason or FailureReason.INTERNAL
        message = f"{_sentence(told.message)} {_REMEDIES[reason]}"
        return BuildFailure(reason, message, terminal=told.exit_code() == EXIT_TERMINAL)
    if trouble is not None:
        return BuildFailure(trouble.reason, trouble.message, terminal=False)
    detail = _sentence(job.failure_message or "the Job failed")
    return BuildFailure(
        Reason.BUILD_FAILED, f"{detail} See the logs of Job {job.name}.", terminal=False
    )


def _timed_out(agent: Agent, trouble: Trouble | None) -> BuildFailure:
    minutes = agent.spec.build.timeout_minutes
    message = f"The build did not end within {minutes} min. Raise spec.build.timeoutMinutes"
    because = f", or see why its pod did not run: {trouble.message}" if trouble else "."
    return BuildFailure(Reason.BUILD_TIMED_OUT, message + because, terminal=True)


def failed_for_good(job: Job) -> bool:
    """The newest pod told of a failure after which Kubernetes fails the Job too, a moment later."""
    told = told_by(job.pods[-1]) if job.pods else None
    return told is not None and told.exit_code() == EXIT_TERMINAL


def build_trouble(job: Job) -> Trouble | None:
    """What holds up a Job that has not ended; None where it gets on."""
    newest = job.pods[-1:]
    if not newest:
        return None
    told = job.result
    if told is not None and told.outcome is Outcome.FAILED and not job.begun:
        reason = told.reason or FailureReason.INTERNAL
        again = "The build is tried again."
        return Trouble(reason, f"{_sentence(told.message)} {_REMEDIES[reason]} {again}")
    return pod_trouble(_own_first(newest[0]), _PART)


def _own_first(pod: Pod) -> Pod:
    """The containers that build before the Triton beside them, which ends because they did."""
    ordered = sorted(pod.containers, key=lambda container: container.name not in IN_ORDER)
    return replace(pod, containers=tuple(ordered))


def retry_hint(failure: BuildFailure) -> str:
    """How a build that will not be tried again by itself gets another try."""
    if not failure.terminal:
        return ""
    return f" Then change the spec, or set the annotation {_RETRY} to any new value."


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
