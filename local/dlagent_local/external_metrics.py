"""A metrics API for HorizontalPodAutoscalers: how many requests a second an agent answers.

It stands where prometheus-adapter or KEDA would: the apiserver passes on to it what is asked under
external.metrics.k8s.io, and it asks the cluster's Prometheus. A cluster has one such API at a time.
Started by the test of an autoscaler in mode Manual and by the benchmark `slo_live`.
"""

from __future__ import annotations

import json
import math
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import urllib3

from dlagent_local.kube import Kube, Object, object_path, wait_for
from dlagent_local.pki import Authority, Identity

METRIC = "dlagent_requests_per_second"
AGENT_LABEL = "dlagent"  # a selector has this label and no other

_GROUP, _VERSION = "external.metrics.k8s.io", "v1beta1"
_GROUP_VERSION = f"{_GROUP}/{_VERSION}"
_API_SERVICE = f"{_VERSION}.{_GROUP}"
_SERVICE = "external-metrics"
_VALUES = re.compile(rf"/apis/{_GROUP_VERSION}/namespaces/([a-z0-9-]+)/{METRIC}")
_SELECTOR = re.compile(rf"{AGENT_LABEL}=([a-z0-9-]+)")
_WINDOW_SECONDS = 20
_PROMETHEUS_SECONDS = 5
_AVAILABLE_SECONDS = 60


class UnansweredError(Exception):
    """There is no number: `code` is HTTP's, and the message says why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def external_metrics(
    kube: Kube, namespace: str, prometheus_url: str, folder: Path
) -> Iterator[None]:
    """The API is there while the block runs.

    The Service that leads to it is in `namespace`; `folder` takes its certificate.

    Raises:
        TimeoutError: the apiserver does not reach it.
    """
    with _serving(prometheus_url, folder) as port, ExitStack() as applied:
        for each in (_service(namespace), _api_service(namespace, port)):
            kube.apply(each)
            applied.callback(kube.delete, object_path(each))
        wait_for("availability of the metrics API", lambda: _listed(kube), _AVAILABLE_SECONDS)
        yield


def requests_per_second(kube: Kube, namespace: str, agent: str) -> float:
    """The metric as an autoscaler gets it, by way of the apiserver.

    Raises:
        ApiError: there is no number.
    """
    query = urlencode({"labelSelector": f"{AGENT_LABEL}={agent}"})
    answer = kube.get(f"/apis/{_GROUP_VERSION}/namespaces/{namespace}/{METRIC}?{query}")
    (item,) = answer["items"]
    return int(item["value"].removesuffix("m")) / 1000


def _listed(kube: Kube) -> bool:
    """Whether the apiserver passes requests on; ApiError while it does not."""
    return METRIC in (each["name"] for each in kube.get(f"/apis/{_GROUP_VERSION}")["resources"])


def _service(namespace: str) -> Object:
    """The aggregator asks the host that an ExternalName says; any other type needs pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": _SERVICE, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }


def _api_service(namespace: str, port: int) -> Object:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": _API_SERVICE},
        "spec": {
            "group": _GROUP,
            "version": _VERSION,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"namespace": namespace, "name": _SERVICE, "port": port},
            "insecureSkipTLSVerify": True,
        },
    }


@contextmanager
def _serving(prometheus_url: str, folder: Path) -> Iterator[int]:
    """The API over TLS on a free port of this machine."""

    class Handler(_Handler):
        prometheus = prometheus_url

    Authority(folder).issue(_SERVICE, Identity(_SERVICE, hosts=("localhost", "127.0.0.1")))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / f"{_SERVICE}.crt", folder / f"{_SERVICE}.key")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        # A handshake on accept would let one client hold up all others.
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers what the apiserver's aggregator and, through it, autoscalers ask."""

    protocol_version = "HTTP/1.1"
    prometheus: str

    def do_GET(self) -> None:
        try:
            self._send(200, _answer(self.path, self.prometheus))
        except UnansweredError as error:
            self._send(error.code, _failure(error))

    def _send(self, code: int, answer: Object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: what failed is in the autoscaler's conditions."""


def _answer(target: str, prometheus_url: str) -> Object:
    asked = urlsplit(target)
    if asked.path == f"/apis/{_GROUP}":
        return _group()
    if asked.path == f"/apis/{_GROUP_VERSION}":
        return _resources()
    values = _VALUES.fullmatch(asked.path)
    if values is None:
        raise UnansweredError(404, f"{asked.path} is not served")
    (selector,) = parse_qs(asked.query).get("labelSelector", [""])
    agent = _SELECTOR.fullmatch(selector)
    if agent is None:
        raise UnansweredError(400, f"{selector!r} does not name one agent by {AGENT_LABEL}=NAME")
    return _values(agent[1], _measured(prometheus_url, values[1], agent[1]))


def _measured(prometheus_url: str, namespace: str, agent: str) -> float:
    """Requests a second. No data is an error: taken for 0, it would have replicas removed."""
    labels = f'namespace="{namespace}",dlagent="{agent}",pod!=""'
    query = f"sum(rate(nv_inference_request_success{{{labels}}}[{_WINDOW_SECONDS}s]))"
    url = f"{prometheus_url}/api/v1/query"
    try:
        answer = urllib3.request(
            "GET", url, fields={"query": query}, timeout=_PROMETHEUS_SECONDS, retries=False
        )
        result = answer.json()["data"]["result"]
    except (urllib3.exceptions.HTTPError, ValueError, KeyError) as error:
        raise UnansweredError(503, f"Prometheus does not answer: {error!r}") from error
    value = float(result[0]["value"][1]) if result else math.nan
    if not math.isfinite(value):
        raise UnansweredError(503, f"no samples of {namespace}/{agent}")
    return value


def _values(agent: str, per_second: float) -> Object:
    item = {
        "metricName": METRIC,
        "metricLabels": {AGENT_LABEL: agent},
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "window": _WINDOW_SECONDS,
        "value": f"{round(per_second * 1000)}m",
    }
    return {
        "apiVersion": _GROUP_VERSION,
        "kind": "ExternalMetricValueList",
        "metadata": {},
        "items": [item],
    }


def _group() -> Object:
    version = {"groupVersion": _GROUP_VERSION, "version": _VERSION}
    return {
        "apiVersion": "v1",
        "kind": "APIGroup",
        "name": _GROUP,
        "versions": [version],
        "preferredVersion": version,
    }


def _resources() -> Object:
    metric = {
        "name": METRIC,
        "singularName": "",
        "namespaced": True,
        "kind": "ExternalMetricValueList",
        "verbs": ["get"],
    }
    return {
        "apiVersion": "v1",
        "kind": "APIResourceList",
        "groupVersion": _GROUP_VERSION,
        "resources": [metric],
    }


def _failure(error: UnansweredError) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": str(error),
        "code": error.code,
    }
