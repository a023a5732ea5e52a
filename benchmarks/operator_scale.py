"""`operator_scale`: the operator with 1,000 agents, beside an operator of plain kopf.

A real control plane; kwok plays nodes and pods, so that no pod is a process. Each operator has a
cluster of its own, one after the other. Figures, those of plain kopf with the prefix plain_kopf_:

observed_s       from the answer to the last agent's apply until each agent's status is about its
                 spec and its children are there; apply_s is how long the applying took
restart_s        from starting the process, with all agents settled, until its cache is complete,
                 each agent was reconciled and its queue is empty: median of several
max_queue_depth  of one sample a second, while agents come and at restarts; not in the window, where
                 asking for 1,000 agents' metrics each second would cost more than what is measured
bytes_per_agent  resident memory (RSS) with all agents settled less that with ten, by the agents
                 between, in the process that saw them come; restarted_bytes_per_agent in one that
                 found them, less the same
writes_steady    requests that write, in the window (benchmarks/writes.py); settling_writes before
ticks_cpu_share  processor time in the window by its length: the share of one core, with scaling
                 every 10 s; without_scaling_cpu_share the same with all agents in mode Manual
queries_steady   queries that Prometheus answered in the window

Plain kopf's timers look at an index and ask nobody, which flatters it.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.bench import report, say
from benchmarks.scale.cluster import (
    ScaleCluster,
    check_key,
    scale_cluster,
    wait_observed,
    wait_ready,
)
from benchmarks.scale.operators import Dlagent, Operator, PlainKopf, settings
from benchmarks.scale.pods import FakePods, Prometheus
from dlagent.runtime.settings import Settings
from dlagent_demo.kube import Json

REST_SECONDS = 15
FEW = 10
WITHIN_SECONDS = 1800


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    agents: int
    seconds: int
    restarts: int


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks operator_scale")
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=120, help="length of a steady window")
    parser.add_argument("--restarts", type=int, default=3)
    arguments = parser.parse_args()
    sizes = Sizes(arguments.agents, arguments.seconds, arguments.restarts)
    figures = _dlagent(sizes)
    say(f"so far: {figures}")
    figures |= {f"plain_kopf_{name}": value for name, value in _plain_kopf(sizes).items()}
    report(figures | {"agents": sizes.agents, "seconds": sizes.seconds})


def _dlagent(sizes: Sizes) -> Json:
    with scale_cluster(sizes.agents) as here, _surroundings(here) as (pods, prometheus):
        wanted = settings(prometheus.url)
        check_key(here.manifest, Settings.model_validate(wanted))
        kubeconfig = here.operator_kubeconfig()
        operator = Dlagent(here.folder, kubeconfig, here.places.operator, wanted)

        def come_to_rest() -> None:
            wait_ready(here, WITHIN_SECONDS)
            pods.show(here.pods())

        with _stopped_at_the_end(operator):
            figures = _measure(here, operator, sizes, come_to_rest, prometheus.queries)
            say("switching scaling off")
            here.scale_by_hand(sizes.agents)
            wait_observed(here, sizes.agents, WITHIN_SECONDS)
            here.count.wait_quiet()
            off = _window(here, operator, sizes.seconds, prometheus.queries)
    return figures | {"without_scaling_cpu_share": off["ticks_cpu_share"]}


def _plain_kopf(sizes: Sizes) -> Json:
    with scale_cluster(sizes.agents) as here:
        operator = PlainKopf(here.folder, here.operator_kubeconfig())
        with _stopped_at_the_end(operator):
            figures = _measure(here, operator, sizes, lambda: None, lambda: 0)
    for name in ("queries_steady", "max_queue_depth"):
        del figures[name]
    return figures


@contextmanager
def _surroundings(here: ScaleCluster) -> Iterator[tuple[FakePods, Prometheus]]:
    """What answers for the fake pods, and the Prometheus that scrapes them."""
    pods = FakePods(here.manifest.self_check)
    prometheus = Prometheus(here.places.prometheus)
    with pods.serving(here.places.pods), prometheus.running(here.folder, here.places.pods):
        yield pods, prometheus


@contextmanager
def _stopped_at_the_end(operator: Operator) -> Iterator[None]:
    try:
        yield
    finally:
        operator.stop()


def _measure(
    here: ScaleCluster,
    operator: Operator,
    sizes: Sizes,
    come_to_rest: Callable[[], None],
    queries: Callable[[], int],
) -> Json:
    """The figures that both operators have."""
    operator.wait_settled(0, WITHIN_SECONDS)
    here.apply_agents(FEW)
    wait_observed(here, FEW, WITHIN_SECONDS)
    come_to_rest()
    time.sleep(REST_SECONDS)
    few = operator.rss_bytes()
    say(f"applying {sizes.agents} agents; with {FEW}: {few / 2**20:.0f} MiB")
    with operator.watching_depth() as depths:
        figures: Json = {"apply_s": round(here.apply_agents(sizes.agents), 1)}
        began = time.monotonic()
        wait_observed(here, sizes.agents, WITHIN_SECONDS)
        figures["observed_s"] = round(time.monotonic() - began, 1)
        say(f"{figures}")
        come_to_rest()
    here.count.wait_quiet(WITHIN_SECONDS)
    figures["settling_writes"] = here.count.writes()
    say(f"nothing happens for {sizes.seconds} s")
    figures |= _window(here, operator, sizes.seconds, queries)
    more = sizes.agents - FEW
    figures["bytes_per_agent"] = round((operator.rss_bytes() - few) / more)
    say(f"{figures}")
    with operator.watching_depth() as more_depths:
        figures |= _restarts(operator, sizes, few)
    depth = max([*depths, *more_depths], default=0)
    return figures | {"max_queue_depth": int(depth)}


def _window(
    here: ScaleCluster, operator: Operator, seconds: int, queries: Callable[[], int]
) -> Json:
    writes, cpu, asked = here.count.writes(), operator.cpu_seconds(), queries()
    began = time.monotonic()
    time.sleep(seconds)
    used = operator.cpu_seconds() - cpu
    passed = time.monotonic() - began
    return {
        "ticks_cpu_share": round(used / passed, 4),
        "writes_steady": here.count.writes() - writes,
        "queries_steady": queries() - asked,
    }


def _restarts(operator: Operator, sizes: Sizes, few: int) -> Json:
    taken = []
    for _ in range(sizes.restarts):
        operator.stop()
        taken.append(round(operator.wait_settled(sizes.agents, WITHIN_SECONDS), 1))
        say(f"restarted in {taken[-1]} s")
    time.sleep(REST_SECONDS)
    return {
        "restart_s": statistics.median(taken),
        "restart_runs": taken,
        "restarted_bytes_per_agent": round((operator.rss_bytes() - few) / (sizes.agents - FEW)),
    }


if __name__ == "__main__":
    main()
