"""Why a pod does not get ready: the reason, and words that name what to change."""

from typing import Any

import pytest

from dlagent.domain.rollout.seen import Container, Pod
from dlagent.domain.status.trouble import first_trouble, last_words, pod_trouble


def pod(**fields: Any) -> Pod:
    return Pod("shoes-1", **fields)


def container(name: str = "triton", **fields: Any) -> Pod:
    return pod(containers=(Container(name, image="triton:1", **fields),))


TABLE: list[tuple[str, Pod, str | None, str]] = [
    ("a pod that takes its time", pod(), None, ""),
    ("a container that ended well", container(exit_code=0), None, ""),
    ("a container that is being made", container(waiting_reason="ContainerCreating"), None, ""),
    (
        "no node fits",
        pod(unschedulable="0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),
        "Unschedulable",
        "spec.serving.nodeSelector",
    ),
    (
        "no accelerator is left, which a build needs as well",
        pod(unschedulable="0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),
        "Unschedulable",
        "change spec.serving.accelerator, ",
    ),
    (
        "no memory is left",
        pod(unschedulable="0/1 nodes are available: 1 Insufficient memory."),
        "Unschedulable",
        "or change spec.serving.resources",
    ),
    (
        "a claim is missing",
        pod(unschedulable='persistentvolumeclaim "models" not found'),
        "VolumeMissing",
        "PersistentVolumeClaim models does not exist",
    ),
    (
        "a claim is not bound",
        pod(unschedulable="pod has unbound immediate PersistentVolumeClaims"),
        "VolumeNotBound",
        "kubectl get pvc",
    ),
    (
        "an image is not found",
        container(waiting_reason="ErrImagePull"),
        "ImageNotFound",
        "Image triton:1",
    ),
    (
        "pulling the image is tried again later: the same words",
        container(waiting_reason="ImagePullBackOff"),
        "ImageNotFound",
        "Image triton:1",
    ),
    (
        "a Secret is missing",
        container(waiting_reason="CreateContainerConfigError", waiting_message="no secret s"),
        "ContainerConfigError",
        "no secret s",
    ),
    (
        "Triton runs out of memory",
        container(exit_code=137, exit_reason="OOMKilled", waiting_reason="CrashLoopBackOff"),
        "OutOfMemory",
        "spec.serving.resources.limits.memory",
    ),
    (
        "Triton cannot load the model",
        container(exit_code=1, exit_message="E0101 12:00 m.cc:1] failed to load 'shoes'\n+-+"),
        "ContainerFailed",
        "exit code 1: failed to load 'shoes'.",
    ),
    ("Triton ends without a word", container(exit_code=1), "ContainerFailed", "see its logs"),
    (
        "the artifact is missing",
        container("load", exit_code=20),
        "ArtifactDamaged",
        "not in the store",
    ),
    (
        "the artifact is damaged",
        container("load", exit_code=21, exit_message="model/1/model.onnx"),
        "ArtifactDamaged",
        "model/1/model.onnx",
    ),
    ("the node is full", container("load", exit_code=22), "NoSpace", "no space"),
    (
        "the loader breaks otherwise",
        container("load", exit_code=1),
        "ContainerFailed",
        "Container load ended with exit code 1",
    ),
    (
        "the pod is evicted",
        pod(failure="Evicted", failure_message="The node was low on memory"),
        "Evicted",
        "low on memory",
    ),
]


@pytest.mark.parametrize(
    ("seen", "reason", "words"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_trouble(seen: Pod, reason: str | None, words: str) -> None:
    trouble = pod_trouble(seen, "spec.serving")
    assert reason == (trouble.reason if trouble is not None else None)
    assert words in (trouble.message if trouble is not None else "")


def test_pods_that_are_ready_or_going_have_no_trouble() -> None:
    crashed = Container("triton", exit_code=1)
    pods = (pod(ready=True, containers=(crashed,)), pod(deleting=True, containers=(crashed,)))
    assert None is first_trouble(pods, "spec.serving")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("one\ntwo\n", "two."),
        ("I0101 x.cc:1] fine\nE0101 y.cc:2] bad thing\nerror: creating server", "bad thing."),
        ("a  b\tc", "a b c."),
        ("x" * 400, "x" * 297 + "..."),
    ],
    ids=["nothing", "the last line", "an error of a log", "spaces", "long"],
)
def test_last_words(text: str, expected: str) -> None:
    assert expected == last_words(text)


OURS = "Correct its name (builder.image in"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fetch", OURS),
        (
            "build",
            "Correct its name (spec.build.image, or builder.image in the operator's settings)",
        ),
        ("publish", OURS),
        ("load", OURS),
        ("triton", "the image of the runtime that spec.serving.runtime names"),
    ],
)
def test_an_image_that_is_missing_is_corrected_where_it_is_named(name: str, words: str) -> None:
    trouble = pod_trouble(container(name, waiting_reason="ErrImagePull"), "spec.build")
    assert trouble is not None
    assert words in trouble.message
