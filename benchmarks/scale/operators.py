"""The two operators that `operator_scale` compares, each a process that is seen from outside.

`Dlagent` is the product's, seen by its own probes and metrics. `PlainKopf` is
benchmarks/plain_kopf.py, which prints a line for each agent that it has handled.
"""

import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import yaml

from benchmarks.bench import BenchmarkError, eventually
from benchmarks.scale.pods import SCRAPE_SECONDS
from dlagent_demo.kube import Json

_PORT = 8080
_STOP_SECONDS = 120
_LOOK_SECONDS = 0.2
_SAMPLE_SECONDS = 1  # a page of metrics has several series an agent: asked for rarely


class Operator(ABC):
    """A process that can be stopped and started again; each start has a log of its own."""

    def __init__(self, name: str, folder: Path, command: list[str], kubeconfig: Path) -> None:
        self._name = name
        self._folder = folder
        self._command = command
        self._environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it printed since its last start."""
        return self._folder / f"{self._name}-{self._starts}.log"

    @abstractmethod
    def settled(self, agents: int) -> bool:
        """Whether it has seen all there is since its start and done what is to be done."""

    def start(self) -> None:
        self._starts += 1
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )

    def wait_settled(self, agents: int, within_seconds: float) -> float:
        """Start it; the seconds until it is settled."""
        began = time.monotonic()
        self.start()
        eventually(f"{self._name} to settle", lambda: self._look(agents), within_seconds)
        return time.monotonic() - began

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def rss_bytes(self) -> int:
        """Its resident memory."""
        return int(self._running().memory_info().rss)

    def cpu_seconds(self) -> float:
        """Processor time of its present process."""
        times = self._running().cpu_times()
        return float(times.user + times.system)

    @contextmanager
    def watching_depth(self) -> Iterator[list[float]]:
        """Sample the depth of its queue meanwhile, where it tells it; the list has all samples."""
        yield []

    def _look(self, agents: int) -> bool:
        self._running()
        time.sleep(_LOOK_SECONDS)
        return self.settled(agents)

    def _running(self) -> psutil.Process:
        if self._process is None or self._process.poll() is not None:
            raise BenchmarkError(f"{self._name} ended:\n{self.log.read_text()[-2000:]}")
        return psutil.Process(self._process.pid)


class Dlagent(Operator):
    """`dlagent operator` outside of the cluster."""

    def __init__(self, folder: Path, kubeconfig: Path, host: str, settings: Json) -> None:
        file = folder / "settings.yaml"
        file.write_text(yaml.safe_dump(settings | {"server": {"host": host, "port": _PORT}}))
        command = [sys.executable, "-m", "dlagent.cli.main", "operator", "--settings", str(file)]
        super().__init__("dlagent", folder, [*command, "--kubeconfig", str(kubeconfig)], kubeconfig)
        self._url = f"http://{host}:{_PORT}"

    def settled(self, agents: int) -> bool:
        """The cache is complete, each agent was reconciled, and none waits for another visit."""
        if not self._is_ready():
            return False
        seen = self._metrics()
        done = seen.get('dlagent_reconcile_duration_seconds_count{result="success"}', 0.0)
        waiting = seen["dlagent_queue_depth"] + seen["dlagent_reconcile_active"]
        return done >= agents and waiting == 0

    @contextmanager
    def watching_depth(self) -> Iterator[list[float]]:
        depths: list[float] = []
        over = threading.Event()

        def sample() -> None:
            while not over.wait(_SAMPLE_SECONDS):
                try:
                    depths.append(self._metrics()["dlagent_queue_depth"])
                except OSError:
                    continue  # it is being started

        thread = threading.Thread(target=sample, daemon=True)
        thread.start()
        try:
            yield depths
        finally:
            over.set()
            thread.join()

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/readyz", timeout=10):
                return True
        except (OSError, urllib.error.HTTPError):
            return False

    def _metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(f"{self._url}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return {name: float(value) for name, value in re.findall(r"^(\w\S*) (\S+)$", text, re.M)}


class PlainKopf(Operator):
    """An operator of plain kopf under `kopf run`."""

    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        program = Path(__file__).parents[1] / "plain_kopf.py"
        command = [sys.executable, "-m", "kopf", "run", "--all-namespaces", "--standalone"]
        super().__init__("plain_kopf", folder, [*command, "--quiet", str(program)], kubeconfig)

    def settled(self, agents: int) -> bool:
        """Each agent's handler has succeeded since the start."""
        lines = self.log.read_text().splitlines()
        return len({line for line in lines if line.startswith("handled ")}) >= agents


def settings(prometheus_url: str) -> Json:
    """The operator's settings, without where it listens."""
    runtime = {
        "image": "bench.local/triton:24.10",
        "target": {"tritonVersion": "24.10", "accelerator": "cpu"},
    }
    return {
        "builder": {"image": "bench.local/builder:1"},
        "runtimes": {"triton": runtime},
        "logging": {"format": "text", "level": "INFO"},
        "prometheus": {"url": prometheus_url, "scrapeIntervalSeconds": SCRAPE_SECONDS},
    }
