"""The Deployment of one revision: a loader that copies the artifact, and Triton that serves it."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlagent.api import names
from dlagent.api.types import Serving
from dlagent.domain.artifact.ensemble import Configs
from dlagent.domain.artifact.latency_histogram import has_histograms
from dlagent.manifests.common import (
    Object,
    Owner,
    container_security,
    owned_metadata,
    placement,
    pod_security,
    resources,
    serving_labels,
    serving_selector,
)
from dlagent.manifests.settings import Builder, Drain, Profile, Store
from dlagent.manifests.store import Access, access

HTTP_PORT, GRPC_PORT, METRICS_PORT = 8000, 8001, 8002
# Who set spec.replicas: without it a Deployment was created but not yet scaled (see `scale`).
SCALED_BY_ANNOTATION = "dlagent.io/scaled-by"
_MIB = 1024**2
_GRACE_MARGIN_SECONDS = 5
_PROBE_PERIOD_SECONDS = 1
# Summaries of the latency. A quantile stands with the error that its rank may have: 0.9:0.01 is
# somewhere from 0.89 to 0.91. What they cost: docs/explanation/signals.md.
METRICS_ARGUMENTS = (
    "--metrics-config=summary_latencies=true",
    "--metrics-config=summary_quantiles=0.5:0.02,0.9:0.01,0.95:0.005,0.99:0.001,0.999:0.0005",
)
_HISTOGRAM_ARGUMENT = "--metrics-config=histogram_latencies=true"
_RESPONSE_CACHE_BYTES = 64 * _MIB  # as the field's description says
_RESTRICTED_APIS = "model-repository,logging,shared-memory"


@dataclass(frozen=True)
class Revision:
    """What one revision serves: its id, the artifact, and the model configurations for it."""

    id: str
    artifact_key: str
    artifact_bytes: int
    configs: Configs


def deployment_name(agent: str, revision: str) -> str:
    return f"{agent}-{revision[:8]}"


def deployment(
    owner: Owner,
    revision: Revision,
    serving: Serving,
    profile: Profile,
    builder: Builder,
    drain: Drain,
    store: Store,
) -> Object:
    """The Deployment without its replicas, which belong to another field manager (`scale`).

    The template-version annotation holds a digest of what was rendered: as long as we would
    render the same, a difference of the live object is drift and is put right; where our rendering
    changed (a new operator, other settings), the live template is left as it is.
    """
    labels = {**serving_labels(owner.name), names.REVISION_LABEL: revision.id}
    spec: Object = {
        "revisionHistoryLimit": 0,
        "selector": {
            "matchLabels": {**serving_selector(owner.name), names.REVISION_LABEL: revision.id}
        },
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        },
        "template": {
            "metadata": {
                "labels": {**(serving.pod_labels or {}), **labels},
                "annotations": _pod_annotations(serving, profile),
            },
            "spec": _pod(owner, revision, serving, profile, builder, drain, store),
        },
    }
    metadata = owned_metadata(
        owner,
        deployment_name(owner.name, revision.id),
        {**labels, names.ARTIFACT_LABEL: revision.artifact_key[:16]},
    )
    metadata["annotations"] = {names.TEMPLATE_VERSION_ANNOTATION: _digest(spec)}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def scale(namespace: str, name: str, uid: str, replicas: int) -> Object:
    """What the manager dlagent-scaler applies: the number of replicas, and that it was set.

    A Deployment is created without replicas (it starts with one pod, which no bound forbids) and
    scaled at once. The annotation tells a crash between the two from a size of one that is owned.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "annotations": {SCALED_BY_ANNOTATION: names.SCALER_FIELD_MANAGER},
        },
        "spec": {"replicas": replicas},
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _pod_annotations(serving: Serving, profile: Profile) -> dict[str, str]:
    return {
        **profile.pod_annotations,
        **(serving.pod_annotations or {}),
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(METRICS_PORT),
        "prometheus.io/path": "/metrics",
    }


def _pod(
    owner: Owner,
    revision: Revision,
    serving: Serving,
    profile: Profile,
    builder: Builder,
    drain: Drain,
    store: Store,
) -> Object:
    grace = drain.sleep_seconds + drain.exit_timeout_seconds + _GRACE_MARGIN_SECONDS
    # Twice the artifact: a partial copy may lie beside the full one when a load is tried again.
    models_mib = math.ceil(2 * revision.artifact_bytes / _MIB) + 64
    held = access(owner.namespace, store, read_only=True)
    # With the store on a volume it looks up nothing, and a cluster without DNS need not warn.
    dns = {"dnsPolicy": "Default"} if store.url is None else {}
    return {
        "serviceAccountName": owner.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **dns,
        "terminationGracePeriodSeconds": grace,
        "securityContext": pod_security(),
        **placement(serving),
        **serving.model_dump(
            by_alias=True,
            exclude_none=True,
            include={"affinity", "topology_spread_constraints"},
        ),
        "initContainers": [_loader(owner, revision, serving, builder, held)],
        "containers": [_triton(owner, serving, profile, drain)],
        "volumes": [
            *held.volumes,
            {"name": "models", "emptyDir": {"sizeLimit": f"{models_mib}Mi"}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "512Mi"}},
        ],
    }


def _loader(
    owner: Owner, revision: Revision, serving: Serving, builder: Builder, held: Access
) -> Object:
    container: Object = {
        "name": "load",
        "image": builder.image,
        "imagePullPolicy": builder.image_pull_policy,
        "args": [
            *("python", "-m", "dlagent.load"),
            *("--store", held.location, "--key", revision.artifact_key),
            *("--name", owner.name, "--models", "/models"),
        ],
        "env": _configs(revision.configs),
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **held.container,
        "volumeMounts": [
            *held.container.get("volumeMounts", []),
            {"name": "models", "mountPath": "/models"},
        ],
    }
    if serving.resources is not None:
        container["resources"] = resources(serving.resources)
    return container


def _configs(configs: Configs) -> list[Object]:
    model = {"name": "DLAGENT_CONFIG_PBTXT", "value": configs.model}
    if not configs.members:
        return [model]
    members = json.dumps(dict(configs.members), sort_keys=True)
    return [model, {"name": "DLAGENT_MEMBER_CONFIGS", "value": members}]


def _triton(owner: Owner, serving: Serving, profile: Profile, drain: Drain) -> Object:
    container: Object = {
        "name": "triton",
        "image": profile.image,
        "imagePullPolicy": profile.image_pull_policy,
        "args": [*_triton_args(owner, serving, profile, drain), *profile.args],
        "env": environment(profile, serving.env or []),
        "ports": [
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
        ],
        "startupProbe": _probe("ready", max(1, profile.startup_seconds // _PROBE_PERIOD_SECONDS)),
        "readinessProbe": _probe("ready", 3),
        "livenessProbe": {**_probe("live", 6), "periodSeconds": 5},
        "resources": _triton_resources(serving),
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "models", "mountPath": "/models", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # in the pod, not here
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108  # as above
        ],
    }
    if profile.command is not None:
        container["command"] = list(profile.command)
    if drain.sleep_seconds > 0:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": drain.sleep_seconds}}}
    return container


def _triton_args(owner: Owner, serving: Serving, profile: Profile, drain: Drain) -> list[str]:
    # Nobody is told the key, so these APIs are closed; nothing in a pod needs them.
    key = hashlib.sha256(f"restricted:{owner.uid}".encode()).hexdigest()[:32]
    return [
        "--model-repository=/models",
        "--model-control-mode=none",
        "--strict-readiness=true",
        "--exit-on-error=true",
        "--disable-auto-complete-config",
        f"--exit-timeout-secs={drain.exit_timeout_seconds}",
        f"--http-port={HTTP_PORT}",
        f"--grpc-port={GRPC_PORT}",
        f"--metrics-port={METRICS_PORT}",
        *METRICS_ARGUMENTS,
        *([_HISTOGRAM_ARGUMENT] if has_histograms(profile.target.triton_version) else ()),
        *(response_cache_arguments() if serving.response_cache else ()),
        f"--http-restricted-api={_RESTRICTED_APIS}:dlagent-key={key}",
        f"--grpc-restricted-protocol={_RESTRICTED_APIS}:dlagent-key={key}",
    ]


def response_cache_arguments() -> list[str]:
    """What the field serving.responseCache asks of Triton beside config.pbtxt."""
    return [f"--cache-config=local,size={_RESPONSE_CACHE_BYTES}"]


def environment(profile: Profile, more: Sequence[Mapping[str, Any]]) -> list[Object]:
    """The pod's address, the profile's environment, and `more`; the last of a name counts."""
    pod_ip = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    merged = {entry["name"]: dict(entry) for entry in [*profile.env, *more, pod_ip]}
    # First, since $(POD_IP) in another variable sees only those before it.
    return [merged.pop("POD_IP"), *merged.values()]


def _probe(path: str, failures: int) -> Object:
    return {
        "httpGet": {"path": f"/v2/health/{path}", "port": "http"},
        "periodSeconds": _PROBE_PERIOD_SECONDS,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _triton_resources(serving: Serving) -> Object:
    wanted = resources(serving.resources) if serving.resources is not None else {}
    if serving.accelerator is not None:
        limits = dict(wanted.get("limits", {}))
        limits[serving.accelerator.resource] = str(serving.accelerator.count)
        wanted["limits"] = limits
    return wanted
