"""A test's own namespace, the operator to be killed, and the evidence of a failure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dlagent_local.cluster import Cluster
from harness import Agent, Json, Kubectl, KubectlError, merged

EVIDENCE = Path(__file__).parents[2] / ".test-evidence"
OPERATOR_NAMESPACE = "dlagent-system"
MODELS_CLAIM = "models"


@dataclass(frozen=True)
class Room:
    """A namespace of one test's own, with a volume for model files."""

    kubectl: Kubectl
    models: Path
    cluster: Cluster

    def agent(self, name: str = "agent") -> Agent:
        return Agent(self.kubectl, name, self.cluster.service_url)

    def spec(self, file: str = "model.onnx", sha256: str | None = None, **changes: Any) -> Json:
        """The smallest agent that reads `file` of this room's volume, with `changes` merged in."""
        source: Json = {"uri": f"pvc://{MODELS_CLAIM}/{file}"}
        if sha256:
            source["sha256"] = sha256
        smallest: Json = {
            "model": {"source": source},
            "slo": {"latency": {"thresholdMilliseconds": 100}},
        }
        return merged(smallest, changes)


def claim(name: str, size: str = "1Gi", storage_class: str | None = None) -> Json:
    """A PersistentVolumeClaim for `kubectl apply`."""
    spec: Json = {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": size}},
    }
    if storage_class:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": spec,
    }


@dataclass(frozen=True)
class OperatorUnderTest:
    """The operator's pods, to be killed."""

    kubectl: Kubectl

    def kill(self) -> None:
        """SIGKILL without grace; the Deployment starts another."""
        self.kubectl("delete", "pod", "--all", "--grace-period=0", "--force", "--wait=false")

    def wait_available(self) -> None:
        self.kubectl(
            "wait",
            "deployment",
            "--all",
            "--for=condition=Available",
            "--timeout=90s",
            timeout_seconds=100,
        )


def keep_evidence(kubectl: Kubectl, test: str) -> None:
    """Objects, events, pod logs and the operator's log, under .test-evidence."""
    folder = EVIDENCE / re.sub(r"[^\w.-]+", "_", test)
    folder.mkdir(parents=True, exist_ok=True)
    system = Kubectl(kubectl.binary, kubectl.kubeconfig, OPERATOR_NAMESPACE)

    def keep(name: str, ask: Callable[[], str]) -> None:
        try:
            text = ask()
        except KubectlError as error:
            text = str(error)
        (folder / name).write_text(text)

    keep("agents.yaml", lambda: kubectl("get", "dlagents", "-o", "yaml"))
    keep("objects.yaml", lambda: kubectl("get", "all,configmaps,pvc", "-o", "yaml"))
    keep("events.txt", lambda: kubectl("get", "events", "--sort-by=.lastTimestamp"))
    keep(
        "operator.log",
        lambda: system("logs", "--all-containers", "--tail=2000", "deployment/dlagent-operator"),
    )
    for pod in kubectl.items("pods"):
        name = pod["metadata"]["name"]
        keep(f"{name}.log", partial(kubectl, "logs", name, "--all-containers", "--tail=500"))
