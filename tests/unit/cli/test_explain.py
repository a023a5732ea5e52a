"""`dlagent explain`: through a cluster or by addresses, the present and the past, as text and JSON.

The operator, Prometheus and the apiserver's proxy to both are one HTTP server here.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace as Namespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes import client
from typer.testing import CliRunner

from dlagent.cli import explain
from dlagent.cli.errors import CliError
from dlagent.cli.explain import app, parse_time
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

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        self.seen.append(path)
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


@pytest.fixture
def backend() -> Iterator[Backend]:
    fake = Backend()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, body = fake.answer(parts.path, parse_qs(parts.query))
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


@pytest.fixture
def cluster(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    fake = FakeCluster()
    api = client.ApiClient(client.Configuration(host=backend.url))
    monkeypatch.setattr(explain, "find_cluster", lambda _: (api, "vision"))
    monkeypatch.setattr(explain, "find_agent", lambda *_: {"status": {}})
    monkeypatch.setattr(client, "CoreV1Api", lambda _: fake)
    return fake


def run(*arguments: str) -> str:
    """Its lines as one; errors come out as main.py sees them."""
    result = CliRunner(env={"COLUMNS": "120"}).invoke(app, arguments, catch_exceptions=False)
    assert 0 == result.exit_code, result.output
    return " ".join(result.stdout.split())


def test_the_present_is_what_the_operator_says_that_leads(
    cluster: FakeCluster, backend: Backend
) -> None:
    text = run("shoes")
    assert text.startswith("shoes in vision, 2026-03-01 12:30:00 UTC Seen 100 requests/s arrive.")
    assert "At 130 requests/s one replica more is asked for" in text
    assert "Burn rate of the error budget: 0.4 over the hour before" in text
    assert text.endswith("48 replica hours. That is 96.00 EUR: 0.024 EUR per 1,000 requests.")
    assert [OPERATOR % "standby", OPERATOR % "leader"] == backend.seen[:2]
    assert {NOW} == {at for _, at in backend.asked}


def test_a_pod_that_this_machine_reaches_is_asked_itself(
    cluster: FakeCluster, backend: Backend
) -> None:
    port = urlsplit(backend.url).port
    cluster.settings = f"{SETTINGS}server: {{port: {port}}}\n"
    cluster.phases = {"leader": "Running"}
    cluster.addresses = {"leader": "127.0.0.1"}
    backend.answers["/explain/vision/shoes"] = (200, to_json(SITUATION))
    assert "100 requests/s arrive" in run("shoes")
    assert "/explain/vision/shoes" == backend.seen[0]


def test_the_past_is_what_prometheus_has_recorded(cluster: FakeCluster, backend: Backend) -> None:
    text = run("shoes", "--at", "2026-03-01T13:00:00+01:00")
    for sentence in (
        "2026-03-01 12:00:00 UTC",
        "61.5 requests/s arrive",
        "The p99 is 222 ms",
        "Pods: 3 answer, 2 are coming up.",
        "In the next 4 min 70.5 requests/s are expected",
        "3 replicas, by what the load may become.",
        "3 replicas answer 97.2 requests/s within the promise.",
    ):
        assert sentence in text
    assert {NOW - 1800} == {at for _, at in backend.asked}
    queries = [query for query, _ in backend.asked]
    assert all('{agent_namespace="vision",agent="shoes"}' in q for q in queries[1:])


def test_a_forecast_that_was_recorded_in_part_is_none(
    cluster: FakeCluster, backend: Backend
) -> None:
    del backend.gauges["dlagent_miss_price_replica_seconds"]
    assert "There is none: it needs" in run("shoes", "--at", "10m")


def test_json_has_the_figures_and_the_words(cluster: FakeCluster) -> None:
    found = json.loads(run("shoes", "-o", "json"))
    assert ("shoes", "vision") == (found["agent"], found["namespace"])
    assert 100.0 == found["situation"]["load"]["arrivals"]
    assert 96.0 == found["spent"]["costs"]["EUR"]
    assert ["4 replicas, by the load as it is.", "So it is."] == found["explanation"]["Decided"]


def test_addresses_that_are_given_go_before_the_cluster(
    cluster: FakeCluster, backend: Backend
) -> None:
    cluster.refused = AssertionError("nobody needs it")
    backend.answers["/explain/other/shoes"] = (200, to_json(SITUATION))
    backend.prometheus = "/api/v1/query"
    text = run("shoes", "-n", "other", "--operator", backend.url, "--prometheus", backend.url)
    assert "shoes in other" in text
    assert "48 replica hours" in text


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((503, b"no endpoints"), id="nothing behind its Service"),
        pytest.param((200, b"<html>"), id="something else is there"),
        pytest.param((200, b"[]"), id="other JSON"),
    ],
)
def test_without_prometheus_the_present_is_explained_all_the_same(
    cluster: FakeCluster, backend: Backend, answer: tuple[int, bytes]
) -> None:
    backend.answers[PROMETHEUS] = answer
    text = run("shoes")
    assert "100 requests/s arrive" in text
    assert "Cost and error budget are not known: " in text


def test_an_operator_without_prometheus_has_no_past(cluster: FakeCluster) -> None:
    cluster.settings = SETTINGS.partition("prometheus:")[0]
    with pytest.raises(CliError, match=r"asks no Prometheus \(prometheus.url in its settings\)"):
        run("shoes", "--at", "1h")


def test_a_prometheus_outside_of_the_cluster_is_asked_itself(
    cluster: FakeCluster, backend: Backend
) -> None:
    cluster.settings = SETTINGS.replace("http://prometheus.monitoring:9090/at", backend.url)
    backend.prometheus = "/api/v1/query"
    assert "48 replica hours" in run("shoes")


@pytest.mark.parametrize(
    ("ready", "why"),
    [
        pytest.param([], "about agent shoes yet: it is new to it", id="no status"),
        pytest.param(
            [{"type": "Ready", "reason": "InvalidSpec", "message": "cron: no."}],
            "InvalidSpec: cron: no.",
            id="a spec that cannot be used",
        ),
    ],
)
def test_an_agent_that_was_not_looked_at(
    cluster: FakeCluster,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
    ready: list[dict[str, str]],
    why: str,
) -> None:
    backend.answers = {}
    monkeypatch.setattr(explain, "find_agent", lambda *_: {"status": {"conditions": ready}})
    with pytest.raises(CliError, match=why):
        run("shoes")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param((500, b""), "the operator answered HTTP 500", id="it failed"),
        pytest.param((200, b"{}"), "use its version", id="it is another version"),
    ],
)
def test_what_the_operator_cannot_explain(
    cluster: FakeCluster, backend: Backend, answer: tuple[int, bytes], why: str
) -> None:
    backend.answers[OPERATOR % "leader"] = answer
    with pytest.raises(CliError, match=why):
        run("shoes")


def test_a_time_that_nobody_recorded(cluster: FakeCluster, backend: Backend) -> None:
    backend.gauges = {}
    with pytest.raises(CliError, match="no record of agent shoes in namespace vision at 20"):
        run("shoes", "--at", "30d")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param({"settings": None}, "no operator looks after namespace vision", id="none"),
        pytest.param(
            {"settings": SETTINGS + "watch: {namespaces: [other]}"},
            "no operator looks after namespace vision",
            id="one that looks elsewhere",
        ),
        pytest.param({"settings": "a: 1"}, "the operator's settings: ", id="settings of another"),
        pytest.param({"phases": {"a": "Pending"}}, "no pod of the operator runs", id="no pod"),
        pytest.param(
            {"refused": client.ApiException(status=403, reason="Forbidden")},
            "give --operator and --prometheus: Forbidden",
            id="no right",
        ),
    ],
)
def test_why_there_is_no_way_to_the_operator(
    cluster: FakeCluster, change: dict[str, Any], why: str
) -> None:
    for name, value in change.items():
        setattr(cluster, name, value)
    with pytest.raises(CliError, match=why):
        run("shoes")


@pytest.mark.parametrize(
    ("text", "seconds_ago"),
    [
        ("10m", 600),
        ("10m ago", 600),
        ("90s", 90),
        ("2h ago", 7200),
        ("1d", 86_400),
        ("2026-03-01T12:29:00Z", 60),
        ("2026-03-01T13:29:00+01:00", 60),
        ("2026-03-01 12:29:00+00:00", 60),
    ],
)
def test_times(text: str, seconds_ago: float) -> None:
    now = datetime.fromtimestamp(NOW, UTC)
    assert seconds_ago == (now - parse_time(text, now)).total_seconds()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("yesterday", "give a time such as", id="a word"),
        pytest.param("10 weeks", "give a time such as", id="a unit that nobody knows"),
        pytest.param("2026-03-01T12:00:00", "say which clock that is", id="no zone"),
        pytest.param("2026-03-01", r"00:00:00Z, or 2026-03-01T00:00:00\+02:00", id="a day"),
        pytest.param("2026-03-01T12:31:00Z", "yet to come", id="the future"),
        pytest.param("999999d", "give a time such as", id="before all times"),
    ],
)
def test_times_that_are_none(text: str, why: str) -> None:
    with pytest.raises(CliError, match=why):
        parse_time(text, datetime.fromtimestamp(NOW, UTC))


def test_orders_to_the_terminal_are_taken_out(cluster: FakeCluster, backend: Backend) -> None:
    assert SITUATION.decided is not None
    evil = replace(SITUATION, decided=replace(SITUATION.decided, message="[bold]a\x1b[2J"))
    backend.answers[OPERATOR % "leader"] = (200, to_json(evil))
    text = run("shoes")
    assert "[bold]a" in text
    assert "\x1b[2J" not in text
