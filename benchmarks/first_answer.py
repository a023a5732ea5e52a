"""`first_answer`: from `kubectl apply` to the first correct answer.

cold_s      nothing built: the agent's source is built, published, loaded and served
cached_s    the artifact exists and the source is given with its sha256: loaded and served
baseline_s  the operator left out: a Deployment and a Service written by hand (copies of what the
            operator made) with the same loader, artifact and Triton, by plain `kubectl apply`

Each is the time from starting `kubectl apply` to receiving the right class for a test image, polled
every 20 ms on a new connection. Medians of several runs, each cold one in a namespace of its own.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import urllib3
import yaml
from rich.console import Console

from benchmarks.bench import (
    MODELS_CLAIM,
    Room,
    bench_cluster,
    eventually,
    example,
    gone,
    is_ready,
    report,
    room,
    say,
)
from dlagent.cli.agent_client import AgentClient, Endpoint
from dlagent.cli.errors import CliError
from dlagent_demo.classify import top_class
from dlagent_demo.kube import Json
from dlagent_local.kube import ApiError
from examples.fashion_mnist import data
from examples.fashion_mnist.train import Trained, ensure_trained

COLD, CACHED, BASELINE = "cold", "cached", "baseline"


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks first_answer")
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    trained = ensure_trained(Console(stderr=True))
    seconds: dict[str, list[float]] = {COLD: [], CACHED: [], BASELINE: []}
    with bench_cluster() as cluster:
        for run in range(runs):
            with room(cluster, f"first-answer-{run}") as here:
                for name, taken in _one_run(here, trained).items():
                    say(f"run {run + 1} of {runs}: {name} {taken:.2f} s")
                    seconds[name].append(round(taken, 2))
    figures: Json = {f"{name}_s": round(statistics.median(t), 2) for name, t in seconds.items()}
    report(figures | {f"{name}_runs": taken for name, taken in seconds.items()})


def _one_run(here: Room, trained: Trained) -> dict[str, float]:
    model = trained.exported_program
    here.put(model.name, model.read_bytes())
    expected = trained.predictions()[0]
    image = data.load("t10k").images[:1]

    def timed(name: str, *objects: Json) -> float:
        began = time.monotonic()
        here.kube.apply(*objects)
        eventually(f"an answer of {name}", _answers(here, name, image, expected))
        return time.monotonic() - began

    cold = timed(COLD, _agent(COLD, model.name))
    eventually("the agent to be Ready", lambda: is_ready(here.kube.get("dlagent", COLD)))
    by_hand = _by_hand(here)
    here.kube("delete", "dlagent", COLD)
    _wait_for_quiet(here, COLD)
    cached = timed(CACHED, _agent(CACHED, model.name, data.digest_of(model)))
    here.kube("delete", "dlagent", CACHED)
    _wait_for_quiet(here, CACHED)
    baseline = timed(BASELINE, *by_hand)
    return {COLD: cold, CACHED: cached, BASELINE: baseline}


def _agent(name: str, file: str, sha256: str | None = None) -> Json:
    agent: Json = yaml.safe_load(example("fashion_mnist/agent.yaml").read_text())
    agent["metadata"]["name"] = name
    agent["spec"]["model"]["source"] = {"uri": f"pvc://{MODELS_CLAIM}/{file}"}
    if sha256:
        agent["spec"]["model"]["source"]["sha256"] = sha256
    return agent


def _answers(here: Room, name: str, image: Any, expected: int) -> Callable[[], bool]:
    """Whether the agent gives the right class; a connection of its own for each try."""

    def ask() -> bool:
        try:
            url = here.cluster.service_url(here.namespace, name)
        except ApiError:
            return False  # no Service yet
        try:
            with Endpoint(url, urllib3.PoolManager()) as endpoint:
                client = AgentClient(endpoint, _model_name(name))
                model = client.model()
                answer = client.infer(model, {model.inputs[0].name: image})
        except CliError:
            return False  # not served yet
        found = top_class(answer)
        if found != np.array([expected]):
            raise AssertionError(f"a wrong answer: class {found}, expected {expected}")
        return True

    return ask


def _model_name(name: str) -> str:
    """The model's name in Triton: the agent's; the copy by hand keeps that of its original."""
    return COLD if name == BASELINE else name


def _by_hand(here: Room) -> list[Json]:
    """The agent's Deployment and Service as a person would write them: nobody's children."""
    selector = f"dlagent.io/name={COLD},app.kubernetes.io/component=serving"
    deployment = here.kube.get("deployments", "-l", selector)["items"][0]
    labels = {"app": BASELINE}
    pod: Json = deployment["spec"]["template"]
    pod["metadata"] = {"labels": labels}
    pod["spec"].pop("serviceAccountName", None)
    pod["spec"].pop("serviceAccount", None)
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}
    service = {"selector": labels, "ports": [{"name": "http", "port": 8000}]}
    metadata = {"name": BASELINE}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
    ]


def _wait_for_quiet(here: Room, agent: str) -> None:
    """Until the pods of a deleted agent are gone, so that they take no part in the next time."""
    eventually("the pods to be gone", lambda: gone(here.kube, "pods", f"dlagent.io/name={agent}"))


if __name__ == "__main__":
    main()
