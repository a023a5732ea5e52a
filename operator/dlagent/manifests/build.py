"""The Job that builds an artifact, and what its pod may reach."""

from dlagent.api import names
from dlagent.api.types import DLAgentSpec
from dlagent.domain.artifact.request import BuildRequest
from dlagent.manifests import trial_server
from dlagent.manifests.common import (
    Object,
    Owner,
    container_security,
    owned_metadata,
    placement,
    pod_security,
    resources,
)
from dlagent.manifests.settings import Builder, Profile

# Exit code of the builder where trying again cannot help.
TERMINAL_EXIT_CODE = 3
_RETRIES = 3
OPTIONS_ANNOTATION = "dlagent.io/build-options"  # what of spec.build the Job was made from
NETWORK_POLICY_NAME = "dlagent-build"


def job_name(build_id: str) -> str:
    return f"dlagent-build-{build_id}"


def _labels(build_id: str) -> dict[str, str]:
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.PART_OF_LABEL: "dlagent",
        names.COMPONENT_LABEL: "build",
        names.BUILD_LABEL: build_id,
    }


def job(
    owner: Owner,
    build_id: str,
    request: BuildRequest,
    spec: DLAgentSpec,
    options: str,
    builder: Builder,
    profile: Profile,
) -> Object:
    """The build Job. Its name is a function of the build, so that equal agents share one.

    `options` is kept as an annotation: a Job made from other options is replaced. `profile` is the
    runtime that will serve, on which the build measures.
    """
    build = spec.build
    labels = _labels(build_id)
    metadata = owned_metadata(owner, job_name(build_id), labels)
    # Not the controller: another agent of the namespace may wait for the same Job.
    metadata["ownerReferences"][0]["controller"] = False
    metadata["annotations"] = {OPTIONS_ANNOTATION: options}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": _RETRIES,
            "activeDeadlineSeconds": build.timeout_minutes * 60,
            "podFailurePolicy": _failure_policy(),
            "template": {
                "metadata": {"labels": labels, "annotations": dict(builder.pod_annotations)},
                "spec": _pod(request, spec, builder, profile),
            },
        },
    }


def _failure_policy() -> Object:
    return {
        "rules": [
            {  # a drained node or a preempted pod says nothing about the build
                "action": "Ignore",
                "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
            },
            {
                "action": "FailJob",
                "onExitCodes": {
                    "containerName": "build",
                    "operator": "In",
                    "values": [TERMINAL_EXIT_CODE],
                },
            },
        ]
    }


def _pod(request: BuildRequest, spec: DLAgentSpec, builder: Builder, profile: Profile) -> Object:
    build = spec.build
    wanted = build.resources or builder.resources
    mounts: list[Object] = [
        {"name": "artifacts", "mountPath": "/artifacts"},
        {"name": "scratch", "mountPath": "/scratch"},
        dict(trial_server.MOUNT),
    ]
    volumes: list[Object] = [
        {"name": "artifacts", "persistentVolumeClaim": {"claimName": names.STORE_NAME}},
        {"name": "scratch", "emptyDir": {}},
        *trial_server.VOLUMES,
    ]
    source_claim = source_volume(request.source_uri)
    if source_claim is not None:
        mounts.append({"name": "source", "mountPath": f"/sources/{source_claim}", "readOnly": True})
        volumes.append(
            {
                "name": "source",
                "persistentVolumeClaim": {"claimName": source_claim, "readOnly": True},
            }
        )
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        **placement(build),
        "initContainers": [
            trial_server.trial_server(profile, wanted, spec.serving.accelerator),
        ],
        "containers": [
            {
                "name": "build",
                "image": build.image or builder.image,
                "imagePullPolicy": builder.image_pull_policy,
                "args": [
                    *("python", "-m", "dlagent.build", "job"),
                    *("--trials", str(trial_server.FOLDER)),
                ],
                "env": [
                    {
                        "name": "DLAGENT_BUILD_REQUEST",
                        "value": request.model_dump_json(by_alias=True, exclude_none=True),
                    },
                    {"name": "TMPDIR", "value": "/scratch"},
                    {"name": "HOME", "value": "/scratch"},
                ],
                "resources": resources(wanted),
                "securityContext": container_security(),
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }


def source_volume(uri: str) -> str | None:
    """The claim of a `pvc://claim/path` source; None for every other scheme."""
    scheme, separator, rest = uri.partition("://")
    return rest.partition("/")[0] if separator and scheme == "pvc" else None


def network_policy(namespace: str) -> Object:
    """Nobody may reach build pods of the namespace, and they reach nothing.

    Sources and the store are mounted volumes: a build needs no network at all.
    """
    labels = {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.PART_OF_LABEL: "dlagent",
        names.COMPONENT_LABEL: "build",
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": NETWORK_POLICY_NAME, "namespace": namespace, "labels": labels},
        "spec": {
            "podSelector": {
                "matchLabels": {
                    names.MANAGED_BY_LABEL: names.MANAGED_BY,
                    names.COMPONENT_LABEL: "build",
                }
            },
            "policyTypes": ["Ingress", "Egress"],
        },
    }
