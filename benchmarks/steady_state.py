"""`steady_state`: what the operator costs while 20 agents are idle.

writes       requests of the operator to the apiserver that write, its Lease aside, in 5 minutes
cpu_seconds  the operator's processor time over the same 5 minutes
rss_mib      its resident memory at the end
baseline_*   an idle operator of bare kopf that watches the same agents, at the same time

The apiserver itself counts the writes (benchmarks/writes.py). Before the window an agent is edited,
and the count must rise: a count that cannot see a write would prove nothing.
"""

import argparse
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.bench import (
    MODELS_CLAIM,
    BenchmarkError,
    bench_cluster,
    eventually,
    is_ready,
    report,
    room,
    say,
)
from benchmarks.models.doubling import doubling_model
from benchmarks.writes import WriteCount
from dlagent_demo.kube import Json, Kube
from dlagent_local.cluster import Cluster

OPERATOR_NAMESPACE = "dlagent-system"


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks steady_state")
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=300)
    arguments = parser.parse_args()
    with bench_cluster() as cluster, room(cluster, "steady-state") as here:
        here.put("double.onnx", doubling_model())
        say(f"starting {arguments.agents} agents")
        here.kube.apply(*(_agent(number) for number in range(arguments.agents)))
        _wait_ready(here.kube)
        operator = Operator(cluster)
        operator.count.begin()
        control = _edit_one_agent(operator, here.kube)
        with _bare_kopf(cluster) as baseline:
            operator.count.wait_quiet()
            say(f"nothing happens for {arguments.seconds} s")
            figures = _measure(operator, baseline, arguments.seconds)
    report(figures | {"control_writes": control, "agents": arguments.agents})


def _agent(number: int) -> Json:
    return {
        "apiVersion": "dlagent.io/v1alpha1",
        "kind": "DLAgent",
        "metadata": {"name": f"idle-{number}"},
        "spec": {
            "model": {"source": {"uri": f"pvc://{MODELS_CLAIM}/double.onnx"}},
            "slo": {"latency": {"thresholdMilliseconds": 100}},
            "serving": {"resources": {"requests": {"cpu": "10m", "memory": "64Mi"}}},
        },
    }


def _wait_ready(kube: Kube) -> None:
    told = -1

    def all_ready() -> bool:
        nonlocal told
        agents = kube.get("dlagents")["items"]
        ready = sum(map(is_ready, agents))
        if ready != told:
            say(f"{ready} of {len(agents)} Ready")
            told = ready
        time.sleep(1)
        return ready == len(agents)

    eventually("all agents to be Ready", all_ready, within_seconds=900)


class Operator:
    """The operator's pod as the benchmark measures it."""

    def __init__(self, cluster: Cluster) -> None:
        self._kube = Kube(cluster.kubeconfig, OPERATOR_NAMESPACE)
        pods = self._kube.get("pods")["items"]
        running = [pod for pod in pods if pod["status"]["phase"] == "Running"]
        if len(running) != 1:
            raise BenchmarkError(f"expected one pod of the operator, there are {len(running)}")
        account = running[0]["spec"]["serviceAccountName"]
        self.count = WriteCount(self._kube, OPERATOR_NAMESPACE, account)
        annotations = running[0]["metadata"]["annotations"]
        address, port = running[0]["status"]["podIP"], annotations["prometheus.io/port"]
        self._metrics = (
            f"http://{address}:{port}{annotations.get('prometheus.io/path', '/metrics')}"
        )

    def cpu_seconds(self) -> float:
        """Processor time so far, by its own metrics."""
        return self._own_metric("process_cpu_seconds_total")

    def rss_mib(self) -> float:
        """Resident memory, by its own metrics."""
        return self._own_metric("process_resident_memory_bytes") / 2**20

    def _own_metric(self, name: str) -> float:
        with urllib.request.urlopen(self._metrics, timeout=10) as answer:
            found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
        if not found:
            raise BenchmarkError(f"the operator has no metric {name}")
        return float(found.group(1))


def _edit_one_agent(operator: Operator, kube: Kube) -> int:
    """The control: an edit that the operator must answer by a write; how many were counted."""
    before = operator.count.writes()
    # The SLO goes back to what it was: the first edit alone must be answered by a new status.
    for threshold in (99, 100):
        patch = json.dumps({"spec": {"slo": {"latency": {"thresholdMilliseconds": threshold}}}})
        kube("patch", "dlagent", "idle-0", "--type=merge", "-p", patch)
        eventually("the edit to be seen", lambda: is_ready(kube.get("dlagent", "idle-0")))
    counted: int = eventually(
        "the apiserver to count a write of the operator",
        lambda: operator.count.writes() - before,
        within_seconds=30,
    )
    say(f"control: {counted} writes counted after an edit")
    return counted


def _measure(operator: Operator, baseline: psutil.Process, seconds: int) -> Json:
    writes, leases = operator.count.writes(), operator.count.lease_writes()
    cpu, baseline_cpu = operator.cpu_seconds(), _cpu(baseline)
    time.sleep(seconds)
    return {
        "writes": operator.count.writes() - writes,
        "lease_writes": operator.count.lease_writes() - leases,
        "cpu_seconds": round(operator.cpu_seconds() - cpu, 2),
        "rss_mib": round(operator.rss_mib(), 1),
        "baseline_cpu_seconds": round(_cpu(baseline) - baseline_cpu, 2),
        "baseline_rss_mib": round(baseline.memory_info().rss / 2**20, 1),
        "seconds": seconds,
    }


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _bare_kopf(cluster: Cluster) -> Iterator[psutil.Process]:
    program = Path(__file__).with_name("bare_kopf.py")
    command = [sys.executable, "-m", "kopf", "run", "--all-namespaces", "--standalone", "--quiet"]
    environment = {"KUBECONFIG": str(cluster.kubeconfig), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen([*command, str(program)], env=environment)
    try:
        yield psutil.Process(process.pid)
        if process.poll() is not None:
            raise BenchmarkError(f"bare kopf ended with {process.returncode}")
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
