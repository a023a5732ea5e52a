"""What the fake pods of `operator_scale` do: answer the golden check, and be scraped.

One HTTP server answers for all pods, which have one address. A second port shows the metrics of all
of them on one page, which a real Prometheus scrapes with honor_labels.
"""

import asyncio
import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from aiohttp import web

from benchmarks.bench import BenchmarkError, eventually
from benchmarks.scale.cluster import NAMESPACE
from dlagent.domain.artifact.selfcheck import SelfCheck
from dlagent_demo.kube import Json
from dlagent_local import recipes
from dlagent_local.cache import ensure
from dlagent_local.paths import cache_folder

INFERENCE_PORT, METRICS_PORT, PROMETHEUS_PORT = 8000, 8002, 9090
SCRAPE_SECONDS = 5
REQUESTS_PER_SECOND = 10  # of each pod; one replica can answer far more
_LATENCY_MICROSECONDS = {0.5: 2000, 0.9: 3000, 0.95: 3500, 0.99: 5000, 0.999: 9000}


class FakePods:
    """Triton as far as the operator and Prometheus look at it, for all pods at once."""

    def __init__(self, check: SelfCheck) -> None:
        self._answer = golden_answer(check)
        self._since: dict[tuple[str, str], float] = {}  # pod and agent, and since when it answers

    def show(self, pods: list[tuple[str, str]]) -> None:
        """The pods that are on the page of metrics from now on: name and agent."""
        now = time.monotonic()
        self._since = {pod: self._since.get(pod, now) for pod in pods}

    @contextmanager
    def serving(self, host: str) -> Iterator[None]:
        """Serve in a thread of its own."""
        loop = asyncio.new_event_loop()
        started = threading.Event()
        thread = threading.Thread(target=self._run, args=(loop, host, started), daemon=True)
        thread.start()
        if not started.wait(10):
            raise BenchmarkError(f"the fake pods cannot listen on {host}")
        try:
            yield
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _run(self, loop: asyncio.AbstractEventLoop, host: str, started: threading.Event) -> None:
        runner = loop.run_until_complete(self._listen(host))
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    async def _listen(self, host: str) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v2/models/{model}/infer", self._infer)
        app.router.add_get("/metrics", self._metrics)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        for port in (INFERENCE_PORT, METRICS_PORT):
            await web.TCPSite(runner, host, port).start()
        return runner

    async def _infer(self, request: web.Request) -> web.Response:
        return web.json_response({"model_name": request.match_info["model"], **self._answer})

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(text=page(self._since, time.monotonic()))


def golden_answer(check: SelfCheck) -> Json:
    """The right answer as the KServe v2 protocol has it in JSON."""
    return {
        "model_version": "1",
        "outputs": [
            {
                "name": output.name,
                "datatype": output.data_type.value,
                "shape": output.shape,
                "data": output.head,
            }
            for output in check.outputs
        ],
    }


def page(since: dict[tuple[str, str], float], now: float) -> str:
    """The metrics of all pods, each with a constant rate of requests."""
    lines = []
    for (pod, agent), began in since.items():
        labels = (
            f'namespace="{NAMESPACE}",pod="{pod}",dlagent="{agent}",model="{agent}",version="1"'
        )
        count = int(REQUESTS_PER_SECOND * (now - began))
        lines += [
            f"nv_inference_request_success{{{labels}}} {count}",
            f'nv_inference_request_failure{{{labels},reason="OTHER"}} 0',
            f"nv_inference_count{{{labels}}} {count}",
            f"nv_inference_pending_request_count{{{labels}}} 0",
        ]
        lines += [
            f'nv_inference_request_summary_us{{{labels},quantile="{share}"}} {latency}'
            for share, latency in _LATENCY_MICROSECONDS.items()
        ]
    return "\n".join(lines) + "\n"


class Prometheus:
    """A real Prometheus beside the cluster that scrapes the page of the fake pods."""

    def __init__(self, host: str) -> None:
        self.url = f"http://{host}:{PROMETHEUS_PORT}"

    def queries(self) -> int:
        """How many instant queries it has answered."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        name = 'prometheus_http_requests_total{code="200",handler="/api/v1/query"}'
        return sum(int(float(line.split()[-1])) for line in lines if line.startswith(name))

    @contextmanager
    def running(self, folder: Path, target: str) -> Iterator[None]:
        """Scrape `target` until the end."""
        recipe = recipes.prometheus()
        binary = ensure(recipe, cache_folder(), lambda _message, _done: None)
        config = folder / "prometheus.yaml"
        config.write_text(yaml.safe_dump(_config(f"{target}:{METRICS_PORT}")))
        command = [str(binary / "prometheus"), f"--config.file={config}", "--log.level=warn"]
        command += [f"--web.listen-address={self.url.removeprefix('http://')}"]
        command += [f"--storage.tsdb.path={folder / 'prometheus'}"]
        with (folder / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            eventually("readiness of Prometheus", self._ready, 60)
            yield
        finally:
            process.terminate()
            process.wait()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def _config(target: str) -> Json:
    job = {
        "job_name": "pods",
        "honor_labels": True,
        "static_configs": [{"targets": [target]}],
    }
    timing = {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": "4s"}
    config: Json = json.loads(json.dumps({"global": timing, "scrape_configs": [job]}))
    return config
