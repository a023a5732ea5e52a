"""The Triton beside a build, on which the build measures: a native sidecar of the Job's pod.

Native sidecars are init containers that go on (restartPolicy: Always): this one is up while the
build runs and is stopped when it has ended, so it holds up no Job.
"""

from pathlib import PurePosixPath

from dlagent.api.types import Accelerator, Resources
from dlagent.domain.tuning.server import socket_arguments
from dlagent.manifests.common import Object, container_security, resources
from dlagent.manifests.deployment import environment
from dlagent.manifests.settings import Profile

FOLDER = PurePosixPath("/trials")
MOUNT: Object = {"name": "trials", "mountPath": str(FOLDER)}
VOLUMES: list[Object] = [
    {"name": "trials", "emptyDir": {}},
    {"name": "triton-tmp", "emptyDir": {}},
    {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "512Mi"}},
]


def trial_server(profile: Profile, wanted: Resources, accelerator: Accelerator | None) -> Object:
    """The container: Triton as it will serve, but for where it listens and what it loads.

    It has the build's resources, and the accelerator that a replica will have. Without a probe the
    build begins at once, and waits for it only when it measures.
    """
    amounts = resources(wanted)
    if accelerator is not None:
        limits = {**amounts.get("limits", {}), accelerator.resource: str(accelerator.count)}
        amounts["limits"] = limits
    container: Object = {
        "name": "triton",
        "image": profile.image,
        "imagePullPolicy": profile.image_pull_policy,
        "restartPolicy": "Always",
        # Ours come last: of an option that is given twice the last counts.
        "args": [
            "--disable-auto-complete-config",
            "--exit-timeout-secs=1",
            *profile.args,
            *socket_arguments(FOLDER),
        ],
        "env": environment(profile, []),
        "resources": amounts,
        "securityContext": container_security(),
        "volumeMounts": [
            dict(MOUNT),
            {"name": "triton-tmp", "mountPath": "/tmp"},  # noqa: S108  # in the pod, not here
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108  # as above
        ],
    }
    if profile.command is not None:
        container["command"] = list(profile.command)
    return container
