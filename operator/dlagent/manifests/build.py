"""The Job that builds an artifact, and what its pod may reach."""

from collections.abc import Mapping, Sequence

from dlagent.api import names
from dlagent.api.types import Build, Scheme
from dlagent.domain.artifact.request import BuildRequest
from dlagent.manifests.common import (
    Object,
    Owner,
    container_security,
    owned_metadata,
    placement,
    pod_security,
    resources,
)
from dlagent.manifests.settings import Builder, Egress

# Exit code of the builder where trying again cannot help.
TERMINAL_EXIT_CODE = 3
_RETRIES = 3
OPTIONS_ANNOTATION = "dlagent.io/build-options"  # what of spec.build the Job was made from
NETWORK_POLICY_NAME = "dlagent-build"
EGRESS_POLICY_NAME = "dlagent-build-sources"
CREDENTIALS = "/credentials"

# Addresses that are not of the public internet: of this host, of private networks, of links
# (where clouds keep the credentials of their machines), of groups, of benchmarks and examples.
_NOT_PUBLIC_V4 = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
]
_PUBLIC_V6 = "2000::/3"
_DNS_PORT, _HTTPS_PORT = 53, 443
_DNS_NAMESPACE = {"kubernetes.io/metadata.name": "kube-system"}


def job_name(build_id: str) -> str:
    return f"dlagent-build-{build_id}"


def _labels() -> dict[str, str]:
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.PART_OF_LABEL: "dlagent",
        names.COMPONENT_LABEL: "build",
    }


def job(
    owner: Owner,
    build_id: str,
    request: BuildRequest,
    build: Build,
    options: str,
    builder: Builder,
    secret: str | None = None,
) -> Object:
    """The build Job. Its name is a function of the build, so that equal agents share one.

    `options` is kept as an annotation: a Job made from other options is replaced. `secret` is the
    name of the Secret with the source's credentials.
    """
    labels = _labels() | {names.BUILD_LABEL: build_id}
    annotations = dict(builder.pod_annotations)
    if needs_network(request):
        labels[names.NETWORK_LABEL] = names.NETWORK_SOURCES
    else:
        annotations |= builder.isolated_pod_annotations
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
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": _pod(request, build, builder, secret),
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


def _pod(request: BuildRequest, build: Build, builder: Builder, secret: str | None) -> Object:
    mounts: list[Object] = [
        {"name": "artifacts", "mountPath": "/artifacts"},
        {"name": "scratch", "mountPath": "/scratch"},
    ]
    volumes: list[Object] = [
        {"name": "artifacts", "persistentVolumeClaim": {"claimName": names.STORE_NAME}},
        {"name": "scratch", "emptyDir": {}},
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
    environment: Object = {}
    if secret is not None:
        # A Secret that is missing stops the container with a reason that names it; a volume that
        # is not optional would stop the pod before, without one.
        environment["envFrom"] = [{"secretRef": {"name": secret}}]
        mounts.append({"name": "credentials", "mountPath": CREDENTIALS, "readOnly": True})
        volumes.append({"name": "credentials", "secret": {"secretName": secret, "optional": True}})
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        **placement(build),
        "containers": [
            {
                "name": "build",
                "image": build.image or builder.image,
                "imagePullPolicy": builder.image_pull_policy,
                "args": ["python", "-m", "dlagent.build", "job"],
                "env": [
                    {
                        "name": "DLAGENT_BUILD_REQUEST",
                        "value": request.model_dump_json(by_alias=True, exclude_none=True),
                    },
                    {"name": "TMPDIR", "value": "/scratch"},
                    {"name": "HOME", "value": "/scratch"},
                ],
                **environment,
                "resources": resources(build.resources or builder.resources),
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
    return rest.partition("/")[0] if separator and scheme == Scheme.PVC else None


def needs_network(request: BuildRequest) -> bool:
    """Whether the build reads from anywhere but mounted volumes."""
    return source_volume(request.source_uri) is None


def network_policy(namespace: str) -> Object:
    """Nobody may reach build pods of the namespace, and they reach nothing.

    For a source on a volume nothing else is needed; `egress_policy` adds to it for the others.
    """
    return _policy(
        namespace,
        NETWORK_POLICY_NAME,
        {},
        {"policyTypes": ["Ingress", "Egress"]},
    )


def egress_policy(namespace: str, egress: Sequence[Egress]) -> Object:
    """What build pods with a source on the network may reach.

    That is the cluster's DNS, HTTPS at public addresses, and what the settings name.
    """
    dns = {
        "to": [
            {
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": "kube-system"}
                },
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }
        ],
        "ports": [{"protocol": "UDP", "port": _DNS_PORT}, {"protocol": "TCP", "port": _DNS_PORT}],
    }
    public = {
        "to": [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(_NOT_PUBLIC_V4)}},
            {"ipBlock": {"cidr": _PUBLIC_V6}},
        ],
        "ports": [{"protocol": "TCP", "port": _HTTPS_PORT}],
    }
    named = [
        {
            "to": [{"ipBlock": {"cidr": str(entry.cidr)}}],
            "ports": [{"protocol": str(entry.protocol), "port": entry.port}],
        }
        for entry in egress
    ]
    return _policy(
        namespace,
        EGRESS_POLICY_NAME,
        {names.NETWORK_LABEL: names.NETWORK_SOURCES},
        {"policyTypes": ["Egress"], "egress": [dns, public, *named]},
    )


def _policy(namespace: str, name: str, labels: Mapping[str, str], rules: Object) -> Object:
    selector = {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.COMPONENT_LABEL: "build",
        **labels,
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace, "labels": _labels()},
        "spec": {"podSelector": {"matchLabels": selector}, **rules},
    }
