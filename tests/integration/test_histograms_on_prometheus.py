"""Triton's histogram of latencies through a real Prometheus: read by its edges, and no more.

The local Triton has none, so a server in this process says what a newer one would
(recorded/README.md); each scrape finds all counters twice as large.
"""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from dlagent.adapters.prometheus import Prometheus
from dlagent.domain.artifact.latency_histogram import edges_milliseconds
from dlagent.domain.scaling.latency import LatencySignal
from dlagent.domain.scaling.ledger import Entry, Ledger, account
from dlagent.domain.scaling.samples import PodSamples, Snapshot, timed
from dlagent.domain.scaling.signals import PodSeen, Supply
from dlagent_local import standalone
from harness import eventually
from tests.integration.test_signals_on_prometheus import Connection

RECORDED = (Path(__file__).parent / "recorded/histogram.prom").read_text(encoding="utf-8")
POD = ("vision", "shoes-1")
THRESHOLD_SECONDS = 0.5
DEADLINE_SECONDS = 30


class Newer(BaseHTTPRequestHandler):
    """Answers as Triton's metrics port."""

    scrapes = 0

    def do_GET(self) -> None:
        Newer.scrapes += 1
        body = re.sub(r" (\d+)$", self._counted, RECORDED, flags=re.MULTILINE).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not to the test's output."""

    @staticmethod
    def _counted(value: re.Match[str]) -> str:
        return f" {int(value[1]) * Newer.scrapes}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[standalone.Prometheus]:
    triton = HTTPServer(("127.0.0.1", 0), Newer)
    threading.Thread(target=triton.serve_forever, daemon=True).start()
    labels = {"namespace": POD[0], "pod": POD[1], "dlagent": "shoes"}
    target = {"targets": [f"127.0.0.1:{triton.server_port}"], "labels": labels}
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "newer", "static_configs": [target]}],
    }
    try:
        with standalone.prometheus(configuration, tmp_path_factory.mktemp("p")) as running:
            yield running
    finally:
        triton.shutdown()


def seen(server: standalone.Prometheus, thresholds: list[float]) -> PodSamples:
    """Once there are three scrapes."""

    async def ask() -> object:
        prometheus = Prometheus(Connection(server.url), [])
        try:
            return await prometheus.snapshot(time.time(), thresholds)
        finally:
            await prometheus.close()

    def samples() -> PodSamples:
        found = asyncio.run(ask())
        assert isinstance(found, Snapshot)
        return found.pods.get(POD, PodSamples())

    return eventually(samples, lambda its: len(its.successes) >= 3, DEADLINE_SECONDS)


def test_the_recorded_edges_are_those_that_the_operator_writes() -> None:
    found = re.findall(r'le="([\d.]+)"', RECORDED)
    assert list(edges_milliseconds(round(1000 * THRESHOLD_SECONDS))) == [float(e) for e in found]


def test_no_more_is_read_than_all_answers_and_those_in_time(server: standalone.Prometheus) -> None:
    found = seen(server, [THRESHOLD_SECONDS, 0.0625])
    assert [0.0625, 0.5, float("inf")] == [edge for edge, _ in found.buckets]
    assert not found.twice
    part = timed(found, THRESHOLD_SECONDS)
    assert part is not None
    assert [value for _, value in part.total] == [value for _, value in found.successes]


def test_answers_in_time_are_counted(server: standalone.Prometheus) -> None:
    pod = PodSeen(POD[1], Supply.READY, created=0.0, ready_since=1.0)
    ledger, _ = account(Ledger(), {pod.name: seen(server, [0.5])}, [pod], THRESHOLD_SECONDS)

    def since() -> Entry:
        return account(ledger, {pod.name: seen(server, [0.5])}, [pod], THRESHOLD_SECONDS)[1]

    entry = eventually(since, lambda booked: booked.requests >= 1000)
    assert LatencySignal.HISTOGRAM == entry.signal
    assert entry.good / entry.requests == pytest.approx(0.987)
