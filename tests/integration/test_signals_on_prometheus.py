"""From a real Triton through a real Prometheus to the scaler's signals: the queries mean what they
should.

Prometheus gives the labels that the local cluster's gives; a second job scrapes the same Triton
under the name of another pod, twice.
"""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tritonclient import http  # type: ignore[import-untyped]  # ships no types

from dlagent.adapters.prometheus import Prometheus
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.triton_config import ServingPlan, render_config
from dlagent.domain.scaling.latency import Mixture
from dlagent.domain.scaling.ledger import Ledger, account
from dlagent.domain.scaling.samples import Snapshot, SnapshotReading, increase
from dlagent.domain.scaling.signals import PodSeen, Supply, signals
from dlagent.domain.scaling.values import Measured, NoData
from dlagent.manifests.deployment import METRICS_ARGUMENTS
from dlagent_local import standalone
from harness import eventually

ARTIFACT = Path(__file__).parents[2] / "model_repo"
AGENT, OTHER_MODEL = "shoes", "boots"
POD, DOUBLED = ("vision", "shoes-1"), ("vision", "shoes-2")
DEADLINE_SECONDS = 60
REQUESTS, ROWS = 40, 3


@dataclass(frozen=True)
class Connection:
    url: str | None
    scrape_interval_seconds: int = 1
    timeout_seconds: int = 5
    bearer_token_file: Path | None = None
    ca_file: Path | None = None


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[standalone.Triton]:
    root = tmp_path_factory.mktemp("triton")
    manifest = Manifest.model_validate_json((ARTIFACT / "manifest.json").read_bytes())
    for name in (AGENT, OTHER_MODEL):
        folder = root / "models" / name
        shutil.copytree(ARTIFACT / "model/1", folder / "1")
        config = render_config(manifest.interface, ServingPlan(8, 0, 1), manifest.engine)
        (folder / "config.pbtxt").write_text(config)
    with standalone.triton(root / "models", root / "log", *METRICS_ARGUMENTS) as running:
        yield running


@pytest.fixture(scope="module")
def server(
    triton: standalone.Triton, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[standalone.Prometheus]:
    def job(name: str, pod: tuple[str, str]) -> dict[str, object]:
        labels = {"namespace": pod[0], "pod": pod[1], "dlagent": AGENT}
        targets = [f"127.0.0.1:{triton.metrics_port}"]
        return {"job_name": name, "static_configs": [{"targets": targets, "labels": labels}]}

    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [job("one", POD), job("two", DOUBLED), job("three", DOUBLED)],
    }
    with standalone.prometheus(configuration, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def snapshot(server: standalone.Prometheus) -> SnapshotReading:
    async def ask() -> SnapshotReading:
        prometheus = Prometheus(Connection(server.url), ["vision"])
        try:
            return await prometheus.snapshot(time.time(), [0.5])
        finally:
            await prometheus.close()

    return asyncio.run(ask())


def until(server: standalone.Prometheus, holds: Callable[[Snapshot], bool]) -> Snapshot:
    def good(found: SnapshotReading) -> bool:
        return isinstance(found, Snapshot) and holds(found)

    found = eventually(lambda: snapshot(server), good, DEADLINE_SECONDS)
    assert isinstance(found, Snapshot)
    return found


def send(triton: standalone.Triton, model: str, requests: int) -> None:
    client = http.InferenceServerClient(triton.address)
    tensor = http.InferInput("picture", [ROWS, 8, 8], "UINT8")
    tensor.set_data_from_numpy(np.zeros((ROWS, 8, 8), np.uint8))
    for _ in range(requests):
        client.infer(model, [tensor])
    client.close()


def test_load_and_latency_of_a_real_triton(
    triton: standalone.Triton, server: standalone.Prometheus
) -> None:
    before = until(server, lambda now: POD in now.pods and len(now.pods[POD].successes) > 1)
    start = before.pods[POD].successes[-1][1]
    pod = PodSeen(POD[1], Supply.READY, created=0.0, ready_since=0.0)
    ledger, _ = account(Ledger(), {POD[1]: before.pods[POD]}, [pod], 10.0)

    send(triton, OTHER_MODEL, 5)
    send(triton, AGENT, REQUESTS)

    found = until(server, lambda now: now.pods[POD].successes[-1][1] == start + REQUESTS)
    seen = signals({POD[1]: found.pods[POD]}, [pod], 1, found.at, 1)
    assert isinstance(seen.arrivals, Measured)
    window = found.pods[POD].successes
    expected = increase(window) / (window[-1][0] - window[0][0])
    assert pytest.approx(expected, rel=0.01) == seen.arrivals.value
    assert ROWS == seen.inferences_per_request
    assert isinstance(seen.latency, Mixture)
    assert 0 < seen.latency.quantile(0.5) <= seen.latency.quantile(0.99) < 5
    _, entry = account(ledger, {POD[1]: found.pods[POD]}, [pod], 10.0)
    assert REQUESTS == entry.requests
    assert pytest.approx(REQUESTS, rel=0.01) == entry.good


def test_a_pod_that_two_jobs_scrape_is_marked(server: standalone.Prometheus) -> None:
    # Each job scrapes at a moment of its own: at first there is one series only.
    found = until(server, lambda now: {POD, DOUBLED} <= now.pods.keys() and now.pods[DOUBLED].twice)
    assert not found.pods[POD].twice


def test_a_query_that_prometheus_refuses_says_why(server: standalone.Prometheus) -> None:
    async def ask() -> object:
        prometheus = Prometheus(Connection(server.url, timeout_seconds=5), ['bad"name'])
        try:
            return await prometheus.snapshot(time.time(), [0.5])
        finally:
            await prometheus.close()

    found = asyncio.run(ask())
    assert isinstance(found, NoData)
    assert "Prometheus answered HTTP 400" in found.why
