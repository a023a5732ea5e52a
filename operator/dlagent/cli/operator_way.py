"""Finds the way to the operator and to its Prometheus: their own address, or the apiserver's proxy.

The operator's settings, a ConfigMap, say where both are. Called by `dlagent explain`; `store_pod`
asks for the settings alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3

from dlagent.cli.agent_client import Endpoint
from dlagent.cli.endpoints import reachable, refusals, through_apiserver
from dlagent.cli.errors import CliError
from dlagent.runtime.settings import Settings, SettingsError, parse_settings

_OPERATOR = "app.kubernetes.io/name=dlagent-operator"
_INSTANCE_LABEL = "app.kubernetes.io/instance"
_SETTINGS_FILE = "settings.yaml"
# A Service's name in the cluster: NAME.NAMESPACE, with or without .svc and the cluster's domain.
_SERVICE = re.compile(r"(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)(\.svc(\..+)?)?")


@dataclass(frozen=True)
class Installed:
    """One release of the operator, and what it was told."""

    namespace: str
    instance: str
    settings: Settings

    def looks_after(self, agent_namespace: str) -> bool:
        """Whether agents of that namespace are its own."""
        return agent_namespace in (self.settings.watch.namespaces or [agent_namespace])


def find_operator(api: Any, agent_namespace: str) -> Installed:
    """The operator that looks after agents of a namespace.

    Raises:
        CliError: there is none, or the cluster shows no settings of it.
    """
    from kubernetes import client  # over a second to import: only where it is needed

    asked = "the settings of the operator; give --operator and --prometheus"
    for installed in installed_operators(client.CoreV1Api(api), asked):
        if installed.looks_after(agent_namespace):
            return installed
    raise CliError(f"no operator looks after namespace {agent_namespace}: is it installed?")


def installed_operators(core: Any, asked: str) -> Iterator[Installed]:
    """All releases of the operator that the cluster shows; `asked` is what for, if it refuses.

    Raises:
        CliError: it refuses, or what a release was told is not what this version knows.
    """
    with refusals(asked):
        found = core.list_config_map_for_all_namespaces(label_selector=_OPERATOR).items
    for config_map in found:
        text = (config_map.data or {}).get(_SETTINGS_FILE)
        if text is not None:
            metadata = config_map.metadata
            instance = metadata.labels.get(_INSTANCE_LABEL, "")
            yield Installed(metadata.namespace, instance, _parsed(text))


def operator_endpoints(api: Any, installed: Installed) -> list[Endpoint]:
    """One for each of its pods that run; only the one that leads knows the agents.

    Raises:
        CliError: none runs.
    """
    from kubernetes import client

    core: Any = client.CoreV1Api(api)
    selector = f"{_OPERATOR},{_INSTANCE_LABEL}={installed.instance}"
    with refusals("the pods of the operator; give --operator"):
        pods = core.list_namespaced_pod(installed.namespace, label_selector=selector).items
    running = [pod for pod in pods if pod.status.phase == "Running"]
    if not running:
        raise CliError(f"no pod of the operator runs in namespace {installed.namespace}")
    return [_pod_endpoint(api, pod, installed) for pod in running]


def _pod_endpoint(api: Any, pod: Any, installed: Installed) -> Endpoint:
    """Its own address where this machine reaches it; the apiserver proxies to no loopback address,
    which the pods of the local cluster have.
    """
    port = installed.settings.server.port
    address = pod.status.pod_ip
    if address and reachable(address, port):
        return Endpoint(f"http://{address}:{port}", urllib3.PoolManager())
    pods = f"/api/v1/namespaces/{installed.namespace}/pods"
    return through_apiserver(api, f"{pods}/{pod.metadata.name}:{port}/proxy")


def prometheus_endpoint(api: Any, settings: Settings) -> Endpoint:
    """The Prometheus that the operator asks: through the apiserver where it is a Service.

    Raises:
        CliError: the operator has none.
    """
    url = settings.prometheus.url
    if not url:
        raise CliError("the operator asks no Prometheus (prometheus.url in its settings)")
    parts = urlsplit(url)
    service = _SERVICE.fullmatch(parts.hostname or "")
    if service is None:
        return Endpoint(url.rstrip("/"), urllib3.PoolManager())
    port = parts.port or (443 if parts.scheme == "https" else 80)
    scheme = "https:" if parts.scheme == "https" else ""
    return through_apiserver(
        api,
        f"/api/v1/namespaces/{service['namespace']}/services/"
        f"{scheme}{service['name']}:{port}/proxy{parts.path.rstrip('/')}",
    )


def _parsed(text: str) -> Settings:
    try:
        return parse_settings(text)
    except SettingsError as error:
        raise CliError(f"the operator's settings: {error}") from error
