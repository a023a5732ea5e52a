"""Agents that scale, and an operator that decides quickly, for the tests of scaling."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer.testing import CliRunner

from dlagent.cli import explain
from dlagent_local import deploy
from dlagent_local.cluster import Cluster
from dlagent_local.progress import Silent
from harness import Agent, Json, eventually, merged
from models import scaling_model, write
from rooms import Room

ROW = [1.0, 2.0, 3.0, 4.0]
DOUBLED = [2.0, 4.0, 6.0, 8.0]
UP_SECONDS, DOWN_SECONDS = 120.0, 300.0
# Fewer replicas must have been enough for so long, with the operator of `quick_operator`.
QUICK_HOLD_SECONDS = 20


def scaling_spec(room: Room, **changes: Any) -> Json:
    """An agent on the simulated accelerator that may have one to four replicas."""
    scaled: Json = {
        "serving": {"runtime": "simulated-accelerator"},
        "slo": {"latency": {"thresholdMilliseconds": 500}},
        "scaling": {"mode": "Auto", "minReplicas": 1, "maxReplicas": 4},
    }
    return merged(room.spec(**scaled), changes)


def scaling_agent(room: Room, name: str = "agent", **changes: Any) -> Agent:
    """Such an agent, ready."""
    write(room.models, "model.onnx", scaling_model(2))
    agent = room.agent(name)
    agent.apply(scaling_spec(room, **changes))
    agent.wait_ready()
    return agent


def replicas(agent: Agent) -> int:
    """How many the status says there are to be."""
    found: int = agent.get()["status"]["replicas"]
    return found


def wait_replicas(agent: Agent, count: int, within_seconds: float = UP_SECONDS) -> None:
    """Until so many are asked for and answer."""

    def seen() -> tuple[int, int]:
        status = agent.get()["status"]
        return status["replicas"], status.get("readyReplicas", 0)

    eventually(
        seen, lambda now: now == (count, count), within_seconds, f"{agent.name}: {count} replicas"
    )


def explained(agent: Agent, *options: str) -> str:
    """What `dlagent explain` prints of it, in one line."""
    where = ["-n", agent.kubectl.namespace, "--kubeconfig", str(agent.kubectl.kubeconfig)]
    done = CliRunner().invoke(explain.app, [agent.name, *where, *options], catch_exceptions=False)
    return " ".join(done.stdout.split())


@contextmanager
def operator_with(cluster: Cluster, settings: Json) -> Iterator[None]:
    """The operator with these settings, by its chart, while the block runs."""
    usual = deploy.operator_values(cluster.service_url("monitoring", "prometheus"))
    deploy.operator(
        cluster.kube(), cluster.kubeconfig, merged(usual, {"settings": settings}), Silent()
    )
    try:
        yield
    finally:
        deploy.operator(cluster.kube(), cluster.kubeconfig, usual, Silent())


@contextmanager
def quick_operator(cluster: Cluster, prometheus_url: str | None = None) -> Iterator[None]:
    """The operator with shorter times, which may ask another Prometheus, while the block runs."""
    quick: Json = {
        "scaling": {"tickSeconds": 2, "holdSeconds": QUICK_HOLD_SECONDS},
        "runtimes": {"simulated-accelerator": {"podStartSeconds": 5}},
    }
    if prometheus_url is not None:
        quick["prometheus"] = {"url": prometheus_url}
    with operator_with(cluster, quick):
        yield
