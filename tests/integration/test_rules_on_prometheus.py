"""The recording rules on the real Prometheus: it loads the file, and they count what they say."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from dlagent_local import standalone
from harness import eventually

RULES = Path(__file__).parents[2] / "charts/dlagent-operator/files/rules.yaml"
COUNTED_SECONDS = 30


class Operator(BaseHTTPRequestHandler):
    """An operator with one agent: ten more requests each time it is scraped, nine of them good."""

    scrapes = 0

    def do_GET(self) -> None:
        labels = '{agent_namespace="vision",agent="shoes"}'
        lines = [
            f"dlagent_slo_requests_total{labels} {10 * Operator.scrapes}",
            f"dlagent_slo_good_requests_total{labels} {9 * Operator.scrapes}",
        ]
        Operator.scrapes += 1
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write("".join(f"{line}\n" for line in lines).encode())

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what went wrong."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[standalone.Prometheus]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Operator)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    target = f"127.0.0.1:{server.server_port}"
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "operator", "static_configs": [{"targets": [target]}]}],
    }
    with standalone.prometheus(configuration, tmp_path_factory.mktemp("prometheus")) as running:
        yield running
    server.shutdown()
    server.server_close()


def test_it_loads_the_rules(prometheus: standalone.Prometheus) -> None:
    slo, burn = prometheus.ask("rules")["groups"]

    assert [60, 60] == [slo["interval"], burn["interval"]]
    assert [
        "dlagent:slo_requests:increase5m",
        "dlagent:slo_good_requests:increase5m",
    ] == [rule["name"] for rule in slo["rules"]]
    assert 3 == [rule["type"] for rule in burn["rules"]].count("alerting")


def test_a_rule_counts_by_agent_and_by_nothing_else(prometheus: standalone.Prometheus) -> None:
    group, _ = yaml.safe_load(RULES.read_text())["groups"]
    requests, good = group["rules"]

    found = value_of(prometheus, requests["expr"])

    assert {"agent_namespace": "vision", "agent": "shoes"} == found["metric"]
    counted = float(found["value"][1])
    assert counted >= 10
    moment = str(found["value"][0])
    (in_time,) = prometheus.ask("query", query=good["expr"], time=moment)["result"]
    assert float(in_time["value"][1]) == pytest.approx(0.9 * counted)


def value_of(prometheus: standalone.Prometheus, expression: str) -> Any:
    """The first answer that is not empty: an increase needs two scrapes."""
    found = eventually(
        lambda: prometheus.ask("query", query=expression)["result"],
        within_seconds=COUNTED_SECONDS,
        what=expression,
    )
    return found[0]
