"""What the benchmarks share: a cluster of their own, rooms with a model, and the figures' form."""

import json
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlagent_demo.kube import Json, Kube
from dlagent_local.cluster import Cluster

POLL_SECONDS = 0.02
MODELS_CLAIM = "models"


class BenchmarkError(RuntimeError):
    """The benchmark did not see what it waits for."""


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"{time.strftime('%X')} {text}", file=sys.stderr, flush=True)


def report(figures: Json) -> None:
    """The figures as the last line on stdout, with what they were measured on."""
    machine = {"machine": f"{os.cpu_count()} CPUs, {platform.machine()}"}
    print(json.dumps(figures | machine), flush=True)


def in_turns(ways: Iterable[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Each way in each round, from 1. The order changes, so that coming second is no advantage."""
    for number in range(1, rounds + 1):
        for way in sorted(ways, reverse=number % 2 == 1):
            yield number, way


def eventually(what: str, holds: Callable[[], Any], within_seconds: float = 300) -> Any:
    """Ask again and again; the first true answer.

    Raises:
        BenchmarkError: none came in time.
    """
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(POLL_SECONDS)
    raise BenchmarkError(f"{what}: not within {within_seconds:.0f} s")


@contextmanager
def bench_cluster() -> Iterator[Cluster]:
    """A local cluster with the operator; DLAGENT_BENCH_CLUSTER names one that is up already."""
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    existing = os.environ.get("DLAGENT_BENCH_CLUSTER")
    cluster = Cluster(existing or f"bench-{os.getpid()}")
    try:
        if not existing:
            say("starting a local cluster with the operator")
            cluster.up()
        yield cluster
    finally:
        if not existing:
            cluster.down()


@dataclass(frozen=True)
class Room:
    """A namespace with a claim that holds model files."""

    cluster: Cluster
    namespace: str

    @property
    def kube(self) -> Kube:
        """kubectl in this namespace."""
        return Kube(self.cluster.kubeconfig, self.namespace)

    def put(self, name: str, content: bytes) -> None:
        """A model file in the claim."""
        path = self.cluster.volume_path(self.namespace, MODELS_CLAIM) / name
        path.write_bytes(content)
        path.chmod(0o644)


@contextmanager
def room(cluster: Cluster, namespace: str) -> Iterator[Room]:
    """A fresh namespace; it goes with all that is in it."""
    here = Room(cluster, namespace)
    here.kube("create", "namespace", namespace)
    try:
        claim: Json = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": MODELS_CLAIM},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        here.kube.apply(claim)
        yield here
    finally:
        here.kube("delete", "namespace", namespace)


def is_ready(agent: Json) -> bool:
    """Whether an agent's newest spec serves."""
    status = agent.get("status", {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    current = status.get("observedGeneration") == agent["metadata"]["generation"]
    return current and conditions.get("Ready") == "True"


def gone(kube: Kube, kind: str, selector: str) -> bool:
    """Whether no object of a kind has these labels."""
    return not kube.get(kind, "-l", selector)["items"]


def example(path: str) -> Path:
    """A file of examples/."""
    return Path(__file__).parents[1] / "examples" / path
