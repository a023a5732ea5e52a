"""Each way in which a build can fail has its reason, and says what to do."""

from typing import Any

import pytest

from dlagent.domain.artifact.summary import FailureReason, failed
from dlagent.domain.build.containers import IN_ORDER
from dlagent.domain.build.failure import build_failure, build_trouble, retry_hint
from dlagent.domain.rollout.seen import Container, Job, Pod
from tests.unit.domain.rollout.situations import AGENT, failed_job, job, said

TERMINAL = {
    FailureReason.DIGEST_MISMATCH: "spec.model.source.sha256",
    FailureReason.SOURCE_TOO_LARGE: "builder.maxSourceBytes",
    FailureReason.INVALID_MODEL: "spec.model.format",
    FailureReason.UNSUPPORTED_OPERATOR: "operators",
    FailureReason.PICKLE_REFUSED: "torch.export.save",
    FailureReason.SHAPE_MISMATCH: "spec.model.inputs",
    FailureReason.PARITY_FAILED: "export it to ONNX yourself",
    FailureReason.PYTHON_STEP_FAILED: "ConfigMap",
    FailureReason.INVALID_DATASET: "spec.build.dataset.uri",
    FailureReason.GATE_FAILED: "spec.build.gate",
    FailureReason.INVALID_PATH: "spec.model.source.uri",
}
TRANSIENT = {
    FailureReason.SOURCE_UNAVAILABLE: "spec.model.source.uri",
    FailureReason.NO_SPACE: "dlagent-artifacts",
    FailureReason.INTERNAL: "logs",
}


@pytest.mark.parametrize("reason", FailureReason)
def test_what_the_builder_says_gets_a_remedy(reason: FailureReason) -> None:
    failure = build_failure(failed_job(reason), AGENT)
    assert reason == failure.reason
    assert "It says why. " in failure.message
    assert (TERMINAL | TRANSIENT)[reason] in failure.message
    assert (reason in TERMINAL) == failure.terminal
    assert failure.terminal == ("dlagent.io/retry" in retry_hint(failure))


def ended(**container: Any) -> Job:
    pod = Pod("p", containers=(Container("build", image="builder:1", **container),))
    return job(failure="BackoffLimitExceeded", failure_message="limit reached", pods=(pod,))


CASES = [
    (
        "out of memory",
        ended(exit_code=137, exit_reason="OOMKilled"),
        "OutOfMemory",
        "spec.build.resources.limits.memory",
    ),
    ("killed", ended(exit_code=137, exit_reason="Error"), "ContainerFailed", "137 (killed)"),
    ("crashed", ended(exit_code=1, exit_message="Boom\n"), "ContainerFailed", "exit code 1: Boom."),
    ("without a pod", job(failure="X", failure_message="limit"), "BuildFailed", "dlagent-build-b1"),
    (
        "out of time",
        job(failure="DeadlineExceeded"),
        "BuildTimedOut",
        "within 60 min. Raise spec.build.timeoutMinutes.",
    ),
    (
        "out of time before it ran",
        job(failure="DeadlineExceeded", pods=(Pod("p", unschedulable="0/1 nodes"),)),
        "BuildTimedOut",
        "spec.build.nodeSelector",
    ),
    (
        "evicted",
        job(failure="X", pods=(Pod("p", failure="Evicted", failure_message="disk"),)),
        "Evicted",
        "spec.build.resources",
    ),
]


@pytest.mark.parametrize(
    ("failed_one", "reason", "words"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_a_job_that_failed_without_a_word(failed_one: Job, reason: str, words: str) -> None:
    failure = build_failure(failed_one, AGENT)
    assert reason == failure.reason
    assert words in failure.message


@pytest.mark.parametrize("container", IN_ORDER)
@pytest.mark.parametrize("reason", [FailureReason.SOURCE_UNAVAILABLE, FailureReason.INVALID_MODEL])
def test_whichever_container_fails_says_why(container: str, reason: FailureReason) -> None:
    pod = said(failed(reason, "It says why"), container)
    before = [Container(name, exit_code=0) for name in IN_ORDER[: IN_ORDER.index(container)]]
    after_all = Pod("p", containers=(*before, Container("triton", exit_code=143), *pod.containers))

    failure = build_failure(job(failure="PodFailurePolicy", pods=(after_all,)), AGENT)

    assert (reason, reason in TERMINAL) == (failure.reason, failure.terminal)
    assert "It says why. " in failure.message


def test_the_triton_that_was_killed_with_a_build_does_not_hide_why_it_was() -> None:
    pod = Pod(
        "p",
        containers=(
            Container("fetch", exit_code=0),
            Container("triton", exit_code=137, exit_reason="Error"),
            Container("build", exit_code=137, exit_reason="OOMKilled"),
        ),
    )

    failure = build_failure(job(failure="BackoffLimitExceeded", pods=(pod,)), AGENT)

    assert ("OutOfMemory", True) == (failure.reason, failure.terminal)
    assert "Container build used more memory" in failure.message


RUNS = Pod("q", containers=(Container("fetch", exit_code=0), Container("build", running=True)))


def waiting(**pod: Any) -> Job:
    return job(pods=(Pod("p", **pod),))


HELD_UP = [
    ("no pod yet", job(), None),
    ("a pod that runs", waiting(containers=(Container("fetch", running=True),)), None),
    (
        "a pod between two of its containers",
        waiting(containers=(Container("fetch", exit_code=0), Container("build"))),
        None,
    ),
    ("no node", waiting(unschedulable="0/1 nodes are available"), "Unschedulable"),
    (
        "no claim",
        waiting(unschedulable='persistentvolumeclaim "models" not found'),
        "VolumeMissing",
    ),
    (
        "no image",
        waiting(containers=(Container("build", waiting_reason="ImagePullBackOff"),)),
        "ImageNotFound",
    ),
    (
        "a try that failed, the next not yet begun",
        job(pods=(said(failed(FailureReason.SOURCE_UNAVAILABLE, "no file")),)),
        "SourceUnavailable",
    ),
    (
        "a try that failed, the next running",
        job(pods=(said(failed(FailureReason.INTERNAL, "x")), RUNS)),
        None,
    ),
    (
        "a try that failed, while the Triton beside it still ends",
        job(
            pods=(
                Pod(
                    "p",
                    containers=(
                        Container("fetch", exit_code=0),
                        Container("triton", exit_code=137),
                        *said(failed(FailureReason.INTERNAL, "x")).containers,
                    ),
                ),
            )
        ),
        "Internal",
    ),
    (
        "no Secret for what fetches",
        waiting(
            containers=(
                Container(
                    "fetch",
                    waiting_reason="CreateContainerConfigError",
                    waiting_message='secret "keys" not found',
                ),
            )
        ),
        "ContainerConfigError",
    ),
]


@pytest.mark.parametrize(
    ("held_up", "reason"), [row[1:] for row in HELD_UP], ids=[row[0] for row in HELD_UP]
)
def test_what_holds_up_a_build(held_up: Job, reason: str | None) -> None:
    trouble = build_trouble(held_up)
    assert reason == (trouble.reason if trouble is not None else None)
