"""What `dlagent explain` asks: the operator, Prometheus and the apiserver's proxy in one server."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace as Namespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dlagent.domain.scaling.situation import Decided, Load, Replica, Situation, to_json
from dlagent.domain.scaling.turning import Turning

NOW = 1_772_368_200.0  # 2026-03-01 12:30 UTC
SITUATION = Situation(
    at=NOW,
    objective=0.99,
    threshold_seconds=0.5,
    load=Load(100.0, None, 0.0, 1.0, 0.31, {"ready": 4}),
    replica=Replica(32.4, True, 40.0, 0.06, 0.2, 8, True, 62.0, 5),
    mode="Auto",
    decided=Decided(4, "Load", "So it is.", 4, None, 1, 50, None, 186.0),
    turning=Turning(130.0, 88.0, None),
)
AGENT = {"agent_namespace": "vision", "agent": "shoes"}
GAUGES: dict[str, float] = {
    "dlagent_slo_objective_ratio": 0.99,
    "dlagent_slo_threshold_seconds": 0.5,
    "dlagent_arrival_requests_per_second": 61.5,
    "dlagent_replica_capacity_requests_per_second": 32.4,
    "dlagent_desired_replicas": 3,
    "dlagent_ready_replicas": 3,
    "dlagent_needed_replicas": 3,
    "dlagent_min_replicas": 1,
    "dlagent_max_replicas": 50,
    "dlagent_foreseen_horizon_seconds": 250,
    "dlagent_foreseen_requests_per_second": 70.5,
    "dlagent_foreseen_peak_requests_per_second": 80.5,
    "dlagent_foreseen_missed_requests": 3,
    "dlagent_foreseen_missed_with_one_less_requests": 900,
    "dlagent_miss_price_replica_seconds": 0.5,
}
LABELLED = [
    ({"__name__": "dlagent_scaling_reason", "reason": "Forecast"}, 1.0),
    ({"__name__": "dlagent_unready_pods", "state": "starting"}, 2.0),
    ({"__name__": "dlagent_latency_seconds", "quantile": "0.5"}, 0.1),
    ({"__name__": "dlagent_latency_seconds", "quantile": "0.99"}, 0.222),
]
SETTINGS = """
builder: {image: builder}
runtimes: {triton: {image: triton, target: {tritonVersion: "1"}}}
prometheus: {url: "http://prometheus.monitoring:9090/at"}
"""
OPERATOR = "/api/v1/namespaces/system/pods/%s:8080/proxy/explain/vision/shoes"
PROMETHEUS = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/at/api/v1/query"


@dataclass
class Backend:
    """Answers by path; of Prometheus, by the times and queries that it was asked."""

    url: str = ""
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    prometheus: str = PROMETHEUS
    gauges: dict[str, float] = field(default_factory=lambda: dict(GAUGES))
    asked: list[tuple[str, float]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    tokens: dict[str, str | None] = field(default_factory=dict)

    def answer(
        self, path: str, query: dict[str, list[str]], token: str | None
    ) -> tuple[int, bytes]:
        self.seen.append(path)
        self.tokens[path] = token
        if path == self.prometheus and path not in self.answers:
            self.asked.append((query["query"][0], float(query["time"][0])))
            return 200, json.dumps({"data": {"result": self._series(query["query"][0])}}).encode()
        return self.answers.get(path, (404, b"not here"))

    def _series(self, query: str) -> list[dict[str, Any]]:
        found: list[tuple[dict[str, str], float]] = []
        if query.startswith("{__name__"):
            plain = [({"__name__": name}, value) for name, value in self.gauges.items()]
            found = [*plain, *(LABELLED if self.gauges else [])]
        elif "dlagent_replica_seconds_total" in query:
            found = [({}, 172_800.0)]
        elif "dlagent_cost_total" in query:
            found = [({"currency": "EUR"}, 96.0)]
        elif "dlagent_slo_requests_total" in query:
            found = [({}, 4e6)]
        elif "burn_rate:1h" in query:
            found = [({}, 0.4), ({}, float("nan"))]
        return [
            {"metric": {**AGENT, **labels}, "value": [0, str(value)]} for labels, value in found
        ]


@contextmanager
def served() -> Iterator[Backend]:
    """A backend that listens, and whose operator's leader explains SITUATION."""
    fake = Backend()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, body = fake.answer(
                parts.path, parse_qs(parts.query), self.headers["Authorization"]
            )
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    fake.answers[OPERATOR % "leader"] = (200, to_json(SITUATION))
    yield fake
    server.shutdown()
    server.server_close()


class FakeCluster:
    """An operator of two pods, and its settings."""

    def __init__(self) -> None:
        self.settings: str | None = SETTINGS
        self.refused: Exception | None = None
        self.phases = {"pending": "Pending", "standby": "Running", "leader": "Running"}
        self.addresses: dict[str, str] = {}  # of pods that this machine may reach

    def list_config_map_for_all_namespaces(self, label_selector: str) -> Any:
        if self.refused is not None:
            raise self.refused
        assert "app.kubernetes.io/name=dlagent-operator" == label_selector
        metadata = Namespace(
            namespace="system", labels={"app.kubernetes.io/instance": "dlagent-operator"}
        )
        data = None if self.settings is None else {"settings.yaml": self.settings}
        return Namespace(items=[Namespace(metadata=metadata, data=data)])

    def list_namespaced_pod(self, namespace: str, label_selector: str) -> Any:
        assert "system" == namespace
        assert label_selector.endswith("app.kubernetes.io/instance=dlagent-operator")
        return Namespace(
            items=[
                Namespace(
                    metadata=Namespace(name=name),
                    status=Namespace(phase=phase, pod_ip=self.addresses.get(name)),
                )
                for name, phase in self.phases.items()
            ]
        )
