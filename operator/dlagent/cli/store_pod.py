"""A namespace's store as seen from outside of the cluster: each question is a pod that answers it.

The pod runs `python -m dlagent.store` in the builder's image with the store mounted, prints the
answer and ends; its log is the answer. Called by `dlagent artifacts` and `dlagent report`.
"""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlagent.api import names
from dlagent.api.types import GROUP, PLURAL, VERSION, Resources
from dlagent.cli.endpoints import find_cluster, refusals
from dlagent.cli.errors import CliError
from dlagent.cli.operator_way import installed_operators
from dlagent.domain.sweep.unused import SHORT_KEY, SweepReport
from dlagent.manifests import store, sweep
from dlagent.manifests.settings import Builder
from dlagent.manifests.store import Access
from dlagent.store.inventory import Inventory

_WAIT_SECONDS = 300.0
_POLL_SECONDS = 0.5
_LOADER = "load"
_SERVING = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.COMPONENT_LABEL}=serving"
_BUILDS = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.COMPONENT_LABEL}=build"
_RECORDS = f"{names.ARTIFACT_LABEL},{names.COMPONENT_LABEL}=store"


@dataclass(frozen=True)
class _Image:
    """What runs the question, where it is known from a pod and not from the settings."""

    image: str
    image_pull_policy: str
    resources: Resources = field(default_factory=Resources)
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    isolated_pod_annotations: Mapping[str, str] = field(default_factory=dict)


class ClusterStore:
    """The store of a namespace. Every method raises CliError, with what is in the way."""

    def __init__(self, api: Any, namespace: str) -> None:
        from kubernetes import client

        self.namespace = namespace
        # Any: all that a type of theirs says is that each field may be None.
        self._core: Any = client.CoreV1Api(api)
        self._apps: Any = client.AppsV1Api(api)
        self._batch: Any = client.BatchV1Api(api)
        self._custom: Any = client.CustomObjectsApi(api)

    def inventory(self) -> Inventory:
        return Inventory.model_validate_json(self.ask("list"))

    def verify(self, keys: list[str]) -> Inventory:
        return Inventory.model_validate_json(self.ask("verify", *keys))

    def read(self, key: str, path: str) -> bytes:
        """A file of an artifact, such as report.json, or its manifest.json; verified."""
        return base64.b64decode(self.ask("cat", key, path))

    def sweep(self, keep: list[str], grace_hours: float, dry_run: bool) -> SweepReport:
        words = ["sweep", "--grace-hours", str(grace_hours), *(f"--keep={key}" for key in keep)]
        answer = self.ask(*words, *(["--dry-run"] if dry_run else []), writes=not dry_run)
        return SweepReport.model_validate_json(answer)

    def users(self) -> dict[str, set[str]]:
        """Who names an artifact, by the first characters of its key."""
        found: dict[str, set[str]] = {}
        with refusals("its agents and Deployments"):
            agents = self._custom.list_namespaced_custom_object(
                GROUP, VERSION, self.namespace, PLURAL
            )["items"]
            deployments = self._apps.list_namespaced_deployment(
                self.namespace, label_selector=_SERVING
            ).items
        for agent in agents:
            key = ((agent.get("status") or {}).get("artifact") or {}).get("key")
            if key:
                found.setdefault(key[:SHORT_KEY], set()).add(agent["metadata"]["name"])
        for deployment in deployments:
            labels = deployment.metadata.labels
            key = labels.get(names.ARTIFACT_LABEL)
            if not key:
                name = deployment.metadata.name
                raise CliError(f"Deployment {name} does not say which artifact it serves")
            found.setdefault(key, set()).add(labels.get(names.NAME_LABEL, deployment.metadata.name))
        return found

    def builds_running(self) -> list[str]:
        """Build Jobs that may yet find any artifact of the store."""
        with refusals("its Jobs"):
            jobs = self._batch.list_namespaced_job(self.namespace, label_selector=_BUILDS).items
        return [
            job.metadata.name
            for job in jobs
            if not any(
                c.type == "Failed" and c.status == "True" for c in job.status.conditions or []
            )
        ]

    def recorded(self) -> set[str]:
        """The artifacts that the operator has records of, by the first characters of their keys."""
        return {record.metadata.labels[names.ARTIFACT_LABEL] for record in self._records()}

    def forget(self, keys: set[str]) -> None:
        """Delete the records of artifacts: who wants one of them must build again."""
        for record in self._records():
            if record.metadata.labels[names.ARTIFACT_LABEL] in keys:
                with refusals("to delete a record"):
                    self._core.delete_namespaced_config_map(record.metadata.name, self.namespace)

    def ask(self, *arguments: str, writes: bool = False) -> str:
        """What `python -m dlagent.store` prints when it is given these arguments."""
        builder, held = self._found(read_only=not writes)
        with refusals("to run a pod"):
            body = sweep.question(self.namespace, arguments, builder, held)
            name = self._core.create_namespaced_pod(self.namespace, body).metadata.name
        try:
            with refusals("to read that pod"):
                phase = self._end_of(name)
                # Undecoded: the client would take JSON for something to parse.
                log = self._core.read_namespaced_pod_log(
                    name, self.namespace, container=sweep.CONTAINER, _preload_content=False
                ).data.decode()
        finally:
            with refusals("to delete that pod"):
                self._core.delete_namespaced_pod(name, self.namespace, grace_period_seconds=0)
        if phase != "Succeeded":
            raise CliError(log.strip() or f"pod {name} ended without a word")
        return str(log)

    def _records(self) -> list[Any]:
        with refusals("its ConfigMaps"):
            return list(
                self._core.list_namespaced_config_map(self.namespace, label_selector=_RECORDS).items
            )

    def _end_of(self, name: str) -> str:
        """The phase in which a pod ended."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            pod = self._core.read_namespaced_pod(name, self.namespace)
            if pod.status.phase in ("Succeeded", "Failed"):
                return str(pod.status.phase)
            if time.monotonic() > deadline:
                raise CliError(f"pod {name} did not end within {_WAIT_SECONDS:.0f} s: {_why(pod)}")
            time.sleep(_POLL_SECONDS)

    def _found(self, read_only: bool) -> tuple[Builder, Access]:
        """Which image to run and where the store is: as a loader here has it, or by the settings.

        A loader tells it to who may read this namespace only.
        """
        with refusals("its Deployments"):
            deployments = self._apps.list_namespaced_deployment(
                self.namespace, label_selector=_SERVING
            ).items
        for deployment in deployments:
            for container in deployment.spec.template.spec.init_containers or []:
                if container.name == _LOADER:
                    return _as_loader(container, read_only)
        return self._by_settings(read_only)

    def _by_settings(self, read_only: bool) -> tuple[Builder, Access]:
        asked = "the operator's settings, and no agent is served here"
        for installed in installed_operators(self._core, asked):
            if installed.looks_after(self.namespace):
                held = store.access(self.namespace, installed.settings.artifacts, read_only)
                return installed.settings.builder, held
        raise CliError(
            "no agent is served here, and no operator's settings were found that looks after"
            f" namespace {self.namespace}: is it installed?"
        )


def open_cluster_store(namespace: str | None, kubeconfig: Path | None) -> ClusterStore:
    """The store of a namespace; None: that of the kubeconfig's context. Raises CliError."""
    api, default_namespace = find_cluster(kubeconfig)
    return ClusterStore(api, namespace or default_namespace)


def _as_loader(container: Any, read_only: bool) -> tuple[Builder, Access]:
    location = container.args[container.args.index("--store") + 1]
    image = _Image(container.image, container.image_pull_policy or "IfNotPresent")
    if "://" not in location:
        return image, store.claim_access(read_only)
    secrets = [source.secret_ref.name for source in container.env_from or [] if source.secret_ref]
    return image, store.url_access(location, secrets[0] if secrets else None)


def _why(pod: Any) -> str:
    """What a pod waits for."""
    for status in pod.status.container_statuses or []:
        if status.state.waiting is not None:
            return f"{status.state.waiting.reason} {status.state.waiting.message or ''}".strip()
    said = [condition.message for condition in pod.status.conditions or [] if condition.message]
    return said[0] if said else str(pod.status.phase)
