"""Finds the way to an agent: its Service's address, else the apiserver's proxy to it.

Called by `dlagent infer`, `bench`, `report`, `explain` and `artifacts`.
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

from dlagent.adapters.kubeconfig import (
    KubeconfigError,
    kubeconfig_errors,
    kubeconfig_location,
)
from dlagent.api.types import GROUP, PLURAL, VERSION, Latency
from dlagent.cli.agent_client import Endpoint
from dlagent.cli.errors import CliError

HTTP_PORT = 8000
CONNECT_SECONDS = 1.0


class NotFoundError(CliError):
    """No cluster, or no such agent in it."""


def find_endpoint(
    agent: str, namespace: str | None, url: str | None, kubeconfig: Path | None
) -> Endpoint:
    """The first of: the URL given, the Service's own address, the apiserver's service proxy.

    Raises:
        CliError: no cluster, no such agent, or nothing of it serves.
    """
    if url:
        if not _is_http(url):
            raise CliError(f"--url {url}: give an address that starts with http:// or https://")
        return Endpoint(url.rstrip("/"), urllib3.PoolManager())
    client, default_namespace = find_cluster(kubeconfig, "--kubeconfig or --url")
    namespace = namespace or default_namespace
    _check_serves(client, namespace, agent)
    address = _service_address(client, namespace, agent)
    if address and reachable(address, HTTP_PORT):
        return Endpoint(f"http://{address}:{HTTP_PORT}", urllib3.PoolManager())
    path = f"/api/v1/namespaces/{namespace}/services/{agent}:{HTTP_PORT}/proxy"
    return through_apiserver(client, path)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def find_promise(agent: str, namespace: str | None, kubeconfig: Path | None) -> Latency:
    """What the agent's own resource promises.

    Raises:
        CliError: no cluster, or no such agent.
    """
    client, default_namespace = find_cluster(kubeconfig)
    found = find_agent(client, namespace or default_namespace, agent)
    return Latency.model_validate(found["spec"]["slo"]["latency"])


def tls_context(endpoint: Endpoint) -> ssl.SSLContext | None:
    """What the endpoint's pool checks and shows, for another transport; None without TLS."""
    if not endpoint.base.startswith("https://"):
        return None
    given = endpoint.pool.connection_pool_kw
    context = ssl.create_default_context(cafile=given.get("ca_certs"))
    if given.get("cert_file"):
        context.load_cert_chain(given["cert_file"], given.get("key_file"))
    if given.get("cert_reqs") == ssl.CERT_NONE:  # the kubeconfig's insecure-skip-tls-verify
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def server_hostname(endpoint: Endpoint) -> str | None:
    """The kubeconfig's tls-server-name, for another transport."""
    found: str | None = endpoint.pool.connection_pool_kw.get("server_hostname")
    return found


def proxy_url(endpoint: Endpoint) -> str | None:
    """The kubeconfig's proxy, or the environment's, for another transport."""
    proxy = getattr(endpoint.pool, "proxy", None)
    return str(proxy) if proxy is not None else None


def find_cluster(kubeconfig: Path | None, options: str = "--kubeconfig") -> tuple[Any, str]:
    """A client of the cluster, and the namespace of the kubeconfig's current context.

    `options` are those of the command that lead elsewhere.

    Raises:
        NotFoundError: there is none.
    """
    from kubernetes import config  # over a second to import: only where it is needed

    location = kubeconfig_location(kubeconfig)
    try:
        with kubeconfig_errors(location, config.ConfigException):
            api = config.new_client_from_config(config_file=location)  # type: ignore[no-untyped-call]  # untyped there
            _, context = config.list_kube_config_contexts(config_file=location)  # type: ignore[no-untyped-call]  # likewise
            return api, context["context"].get("namespace", "default")
    except KubeconfigError as error:
        raise NotFoundError(
            f"no cluster: {error}. Give {options}, or start one: dlagent local up"
        ) from error


def find_agent(api: Any, namespace: str, agent: str) -> Any:
    """The agent's resource, as the apiserver gives it.

    Raises:
        NotFoundError: it is missing.
        CliError: it may not be read.
    """
    from kubernetes import client
    from urllib3.exceptions import HTTPError

    agents = client.CustomObjectsApi(api)
    where = (GROUP, VERSION, namespace, PLURAL)
    try:
        return agents.get_namespaced_custom_object(*where, agent)
    except client.ApiException as error:
        if error.status != 404:
            raise CliError(f"the cluster refused to show agent {agent}: {error.reason}") from error
        raise NotFoundError(_missing(agents, where, agent)) from error
    except HTTPError as error:
        raise CliError(f"the cluster does not answer: {error}") from error


def _check_serves(api: Any, namespace: str, agent: str) -> None:
    """Raise with the agent's own explanation where it is missing or nothing of it serves."""
    found = find_agent(api, namespace, agent)
    conditions = {c["type"]: c for c in found.get("status", {}).get("conditions", [])}
    available = conditions.get("Available", {})
    if available.get("status") != "True":
        ready = conditions.get(
            "Ready", {"reason": "NotSeen", "message": "is the operator running?"}
        )
        raise CliError(
            f"agent {agent} does not serve yet: {ready['reason']}: {ready.get('message', '')}\n"
            f"watch it with: kubectl get dlagent {agent} -n {namespace} -w"
        )


def _missing(agents: Any, where: tuple[str, str, str, str], agent: str) -> str:
    from kubernetes import client

    text = f"no agent {agent} in namespace {where[2]}"
    try:
        listed = agents.list_namespaced_custom_object(*where)["items"]
    except client.ApiException:
        return f"{text}; is the operator's CRD installed?"
    names = ", ".join(item["metadata"]["name"] for item in listed)
    return f"{text}; there are: {names}" if names else f"{text}, and no other agent either (-n?)"


def _service_address(api: Any, namespace: str, agent: str) -> str | None:
    from kubernetes import client

    try:
        service = client.CoreV1Api(api).read_namespaced_service(agent, namespace)
    except client.ApiException as error:
        raise CliError(f"Service {agent} cannot be read: {error.reason}") from error
    address = service.spec.cluster_ip if service.spec else None
    return None if address in (None, "", "None") else address


def reachable(address: str, port: int) -> bool:
    """Whether something listens there, as seen from this machine."""
    try:
        with socket.create_connection((address, port), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def through_apiserver(api: Any, path: str) -> Endpoint:
    """A proxy of the apiserver, by its path, with the kubeconfig's credentials."""
    token = api.configuration.auth_settings().get("BearerToken")
    headers = {token["key"]: token["value"]} if token else {}
    return Endpoint(
        api.configuration.host.rstrip("/") + path, api.rest_client.pool_manager, headers
    )


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Says what the cluster refused, or that it does not answer, as a CliError."""
    from kubernetes import client
    from urllib3.exceptions import HTTPError

    try:
        yield
    except client.ApiException as error:
        raise CliError(f"the cluster refused {what}: {error.reason} ({error.status})") from error
    except HTTPError as error:
        raise CliError(f"the cluster does not answer: {error}") from error
