"""Why a pod does not get ready, in words that a person can act on.

The words are the same at each visit while the situation is the same (no counters, no back-off
times), so that a status does not change without cause.
"""

import re
from dataclasses import dataclass

from dlagent.api.conditions import Reason
from dlagent.domain.build.containers import BUILD, FETCH, PUBLISH
from dlagent.domain.rollout.seen import Container, Pod

_IMAGE_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
}
_CONFIG_REASONS = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_MESSAGE_CHARACTERS = 300
_GLOG = re.compile(r"^[EF]\d{4} .*?\] ?(?P<text>.*)")  # an error line of Triton's log
LOADER_MISSING, LOADER_CORRUPT, LOADER_NO_SPACE = 20, 21, 22
_KILLED = 137
_NO_EXTENDED_RESOURCE = re.compile(r"Insufficient [\w.-]+/")  # only those have a prefix


@dataclass(frozen=True)
class Trouble:
    """`reason` for the condition, `message` with the remedy."""

    reason: str
    message: str


def first_trouble(pods: tuple[Pod, ...], part: str) -> Trouble | None:
    """The first trouble of pods that are not ready; `part` is the spec's part that made them."""
    waiting = (pod for pod in pods if not pod.ready and not pod.deleting)
    return next((found for pod in waiting if (found := pod_trouble(pod, part)) is not None), None)


def pod_trouble(pod: Pod, part: str) -> Trouble | None:
    """What keeps one pod from running; None where it just takes its time."""
    if pod.unschedulable is not None:
        return _unschedulable(pod.unschedulable, part)
    if pod.failure == "Evicted":
        return Trouble(
            Reason.EVICTED,
            f"Pod {pod.name} was evicted: {_short(pod.failure_message or '')} Raise"
            f" {part}.resources.requests, or free the node.",
        )
    found = (_container_trouble(container, part) for container in pod.containers)
    return next((trouble for trouble in found if trouble is not None), None)


def _unschedulable(message: str, part: str) -> Trouble:
    missing = re.search(r'persistentvolumeclaim "([^"]+)" not found', message)
    if missing:
        return Trouble(
            Reason.VOLUME_MISSING,
            f"PersistentVolumeClaim {missing[1]} does not exist in this namespace. Create it, or"
            " correct spec.model.source.uri.",
        )
    if "PersistentVolumeClaim" in message:
        return Trouble(
            Reason.VOLUME_NOT_BOUND,
            f"A volume is not there yet: {_short(message)} Look at the namespace's"
            " PersistentVolumeClaims (kubectl get pvc) and their storage class.",
        )
    # A build needs the accelerator too: it measures on what will serve.
    lacks_accelerator = _NO_EXTENDED_RESOURCE.search(message) is not None
    accelerator = "spec.serving.accelerator, " if lacks_accelerator else ""
    return Trouble(
        Reason.UNSCHEDULABLE,
        f"No node takes the pod: {_short(message)} Add a node that fits, or change"
        f" {accelerator}{part}.resources, {part}.nodeSelector or {part}.tolerations.",
    )


def _container_trouble(container: Container, part: str) -> Trouble | None:
    if container.waiting_reason in _IMAGE_REASONS:
        return Trouble(
            Reason.IMAGE_NOT_FOUND,
            f"Image {container.image} of container {container.name} cannot be pulled. Correct its"
            f" name ({_image_field(container.name)}), or give {part}.imagePullSecrets.",
        )
    if container.waiting_reason in _CONFIG_REASONS:
        return Trouble(
            Reason.CONTAINER_CONFIG,
            f"Container {container.name} cannot start: {container.waiting_reason}:"
            f" {_short(container.waiting_message or '')}",
        )
    if container.exit_code is None or container.exit_code == 0:
        return None
    return _exit_trouble(container, part)


def _image_field(container: str) -> str:
    if container == BUILD:
        return "spec.build.image, or builder.image in the operator's settings"
    if container in (FETCH, PUBLISH, "load"):
        return "builder.image in the operator's settings"
    return "the image of the runtime that spec.serving.runtime names, in the operator's settings"


def _exit_trouble(container: Container, part: str) -> Trouble:
    said = last_words(container.exit_message or "")
    if container.exit_reason == "OOMKilled":
        return Trouble(
            Reason.OUT_OF_MEMORY,
            f"Container {container.name} used more memory than it may and was killed. Raise"
            f" {part}.resources.limits.memory.",
        )
    if container.name == "load":
        known = {
            LOADER_MISSING: (Reason.ARTIFACT_DAMAGED, "The artifact is not in the store"),
            LOADER_CORRUPT: (Reason.ARTIFACT_DAMAGED, "The artifact in the store is damaged"),
            LOADER_NO_SPACE: (Reason.NO_SPACE, "The node has no space to load the artifact"),
        }.get(container.exit_code or 0)
        if known is not None:
            return Trouble(known[0], f"{known[1]}: {said}" if said else f"{known[1]}.")
    ended = f"Container {container.name} ended with exit code {container.exit_code}"
    if container.exit_code == _KILLED:
        ended += " (killed)"
    return Trouble(
        Reason.CONTAINER_FAILED, f"{ended}: {said}" if said else f"{ended}; see its logs."
    )


def last_words(text: str) -> str:
    """The line of a termination message that says most: an error line of a log, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [match["text"] for line in lines if (match := _GLOG.match(line)) and match["text"]]
    chosen = errors[-1] if errors else (lines[-1] if lines else "")
    return _short(chosen)


def _short(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > _MESSAGE_CHARACTERS:
        text = text[: _MESSAGE_CHARACTERS - 3] + "..."
    return text if not text or text.endswith((".", "!", "...")) else f"{text}."
