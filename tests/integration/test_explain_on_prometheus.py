"""What the operator's metrics say of an agent comes back from the real Prometheus as it was."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import urllib3

from dlagent.cli.agent_client import Endpoint
from dlagent.cli.recorded import Recorder
from dlagent.domain.scaling.model import Foreseen
from dlagent.domain.scaling.situation import Decided, Load, Replica, Situation
from dlagent.runtime.metrics import AgentFigures, Metrics
from dlagent_local import standalone
from harness import eventually

RECORDED_SECONDS = 30
FIGURES = AgentFigures(
    namespace="vision",
    name="shoes",
    requests=0.0,
    good=0.0,
    objective=0.99,
    threshold_seconds=0.5,
    attained=0.995,
    desired=4,
    needed=5,
    reason="Bounds",
    min_replicas=1,
    max_replicas=4,
    foreseen=Foreseen(250.0, 97.5, 125.5, 27.5, 4731.5, 0.5),
    pod_start_seconds=62.0,
    unready={"starting": 1},
    ready=3,
    capacity=32.5,
    arrivals=100.5,
    backlog=12.0,
    latency_seconds={0.5: 0.1, 0.99: 0.25},
    replica_seconds=0.0,
    accelerator="nvidia.com/gpu",
    accelerator_seconds=0.0,
    cost=0.0,
)
SITUATION = Situation(
    at=0.0,
    objective=0.99,
    threshold_seconds=0.5,
    load=Load(100.5, waiting=12.0, p99_seconds=0.25, pods={"ready": 3, "starting": 1}),
    replica=Replica(32.5, start_seconds=62.0),
    foreseen=FIGURES.foreseen,
    decided=Decided(4, "Bounds", needed=5, min_replicas=1, max_replicas=4),
)
NOBODY = replace(
    FIGURES, name="manual", desired=None, reason=None, needed=None, foreseen=None, arrivals=None
)


class Agents:
    """Two agents, the counters of which grow with each scrape."""

    scrapes = 0

    def figures(self) -> Iterator[AgentFigures]:
        self.scrapes += 1
        count = float(self.scrapes)
        for figures in (FIGURES, NOBODY):
            yield replace(
                figures,
                requests=1000 * count,
                good=990 * count,
                replica_seconds=40 * count,
                accelerator_seconds=80 * count,
                cost=2 * count,
            )


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    metrics = Metrics()
    metrics.observe_agents(Agents().figures, "EUR")

    class Operator(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(metrics.render())

        def log_message(self, *_: Any) -> None:
            """Nothing: the test says what went wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Operator)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    target = f"127.0.0.1:{server.server_port}"
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "operator", "static_configs": [{"targets": [target]}]}],
    }
    with standalone.prometheus(configuration, tmp_path_factory.mktemp("prometheus")) as running:
        yield Endpoint(running.url, urllib3.PoolManager())
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def at(endpoint: Endpoint) -> float:
    """A moment at which each counter was seen to grow."""

    def has_grown(now: float) -> bool:
        return (Recorder(endpoint, "vision", "shoes").spent(now).requests or 0) > 0

    return eventually(time.time, has_grown, RECORDED_SECONDS, "a record")


def test_a_decision_comes_back_with_all_that_it_rested_on(endpoint: Endpoint, at: float) -> None:
    assert replace(SITUATION, at=at) == Recorder(endpoint, "vision", "shoes").situation(at)


def test_what_was_not_known_comes_back_as_that(endpoint: Endpoint, at: float) -> None:
    found = Recorder(endpoint, "vision", "manual").situation(at)
    assert found is not None
    assert (None, None, None) == (found.decided, found.foreseen, found.load.arrivals)


def test_what_was_spent_keeps_its_proportions(endpoint: Endpoint, at: float) -> None:
    found = Recorder(endpoint, "vision", "shoes").spent(at)
    assert found.requests is not None
    assert found.replica_seconds == pytest.approx(0.04 * found.requests)
    assert found.accelerator_seconds == pytest.approx({"nvidia.com/gpu": 0.08 * found.requests})
    assert found.costs == pytest.approx({"EUR": 0.002 * found.requests})
    assert (None, None) == (found.burn_hour, found.burn_day), "without the chart's rules"


@pytest.mark.parametrize(
    ("namespace", "agent", "before"),
    [
        pytest.param("vision", "hats", 0.0, id="an agent that is not there"),
        pytest.param("other", "shoes", 0.0, id="another namespace"),
        pytest.param('vi"sion', "sho\\es", 0.0, id="a name that PromQL must not misread"),
        pytest.param("vision", "shoes", 86_400.0, id="before anything was recorded"),
    ],
)
def test_what_is_not_recorded(
    endpoint: Endpoint, at: float, namespace: str, agent: str, before: float
) -> None:
    assert Recorder(endpoint, namespace, agent).situation(at - before) is None
