"""Where the demo runs: a cluster on this machine, or the user's own. Called by __main__.py."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import urllib3

from dlagent.cli.agent_client import Endpoint
from dlagent.cli.endpoints import find_endpoint
from dlagent_demo.kube import Json, Kube, KubectlError
from dlagent_demo.screen import Screen

NAMESPACE = "dlagent-demo"
CLUSTER_NAME = "demo"
MODELS_CLAIM = "models"
COPIER = "model-copier"
CONNECTIONS = 16


class Place(Protocol):
    """A cluster with the operator in it."""

    @property
    def kube(self) -> Kube: ...

    @property
    def shell(self) -> str:
        """What a user types first, so that kubectl and dlagent find this cluster."""

    @property
    def simulates(self) -> bool:
        """Whether its operator has the runtime simulated-accelerator."""

    def up(self, screen: Screen) -> None: ...

    def put_model(self, model: Path) -> None:
        """Copy a file to the top of the claim `models`."""

    def endpoint(self, agent: str) -> Endpoint: ...

    def down(self) -> None:
        """Remove all that the demo made."""


class _Lines:
    """The launcher's progress as lines: the steps, and a share of the long ones now and then."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._told: dict[str, float] = {}

    def begin(self, step: str, message: str) -> None:
        self._told[step] = time.monotonic()
        self._screen.line(message)

    def advance(self, step: str, message: str, done: float | None) -> None:
        if time.monotonic() - self._told.get(step, 0) < 15:
            return
        self._told[step] = time.monotonic()
        share = "" if done is None else f" ({done:.0%})"
        self._screen.line(f"{message}{share}", style="dim")

    def end(self, step: str) -> None:
        self._told.pop(step, None)


class LocalPlace:
    """The local cluster named `demo`."""

    simulates = True

    def __init__(self) -> None:
        from dlagent_local.cluster import Cluster

        self._cluster = Cluster(CLUSTER_NAME)
        self.kubeconfig = self._cluster.kubeconfig

    @property
    def kube(self) -> Kube:
        return Kube(self.kubeconfig, NAMESPACE)

    @property
    def shell(self) -> str:
        return f"export KUBECONFIG={self.kubeconfig}"

    def up(self, screen: Screen) -> None:
        self._cluster.up(_Lines(screen))
        _fresh_namespace(self.kube, screen)

    def put_model(self, model: Path) -> None:
        folder = self._cluster.volume_path(NAMESPACE, MODELS_CLAIM)
        target = folder / model.name
        target.write_bytes(model.read_bytes())
        target.chmod(0o644)

    def endpoint(self, agent: str) -> Endpoint:
        url = self._cluster.service_url(NAMESPACE, agent)
        return Endpoint(url, urllib3.PoolManager(maxsize=CONNECTIONS))

    def down(self) -> None:
        self._cluster.down()


@dataclass(frozen=True)
class OwnPlace:
    """The user's own cluster, where the operator is installed already."""

    kubeconfig: Path | None
    copier_image: str
    simulates = False

    @property
    def kube(self) -> Kube:
        return Kube(self.kubeconfig, NAMESPACE)

    @property
    def shell(self) -> str:
        return f"export KUBECONFIG={self.kubeconfig}" if self.kubeconfig else "kubectl version"

    def up(self, screen: Screen) -> None:
        try:
            self.kube("get", "crd", "dlagents.dlagent.io")
        except KubectlError as error:
            raise KubectlError(
                f"{error}\nThis cluster has no DLAgent operator. Install it:\n"
                "  helm install dlagent-operator charts/dlagent-operator "
                "--namespace dlagent-system --create-namespace --values my-values.yaml\n"
                "with the images that docs/how-to/own-cluster.md tells of,\n"
                "or unset KUBECONFIG to use a cluster on this machine"
            ) from error
        _fresh_namespace(self.kube, screen)

    def put_model(self, model: Path) -> None:
        self.kube.apply(_copier(self.copier_image))
        try:
            self.kube("wait", "pod", COPIER, "--for=condition=Ready", "--timeout=110s")
            script = f"cat > /models/{model.name}"
            self.kube("exec", "-i", COPIER, "--", "sh", "-c", script, stdin=model.read_bytes())
        finally:
            self.kube("delete", "pod", COPIER, "--grace-period=1", "--ignore-not-found")

    def endpoint(self, agent: str) -> Endpoint:
        return find_endpoint(agent, NAMESPACE, None, self.kubeconfig)

    def down(self) -> None:
        self.kube("delete", "namespace", NAMESPACE, "--ignore-not-found")


def _fresh_namespace(kube: Kube, screen: Screen) -> None:
    """A namespace without what an earlier run left, and the claim that holds the model files."""
    kube("delete", "namespace", NAMESPACE, "--ignore-not-found")
    screen.command(f"kubectl create namespace {NAMESPACE}")
    kube("create", "namespace", NAMESPACE)
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": MODELS_CLAIM},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
    )


def _copier(image: str) -> Json:
    """A pod that holds the claim while `kubectl exec` writes into it."""
    container = {
        "name": "copy",
        "image": image,
        "command": ["sleep", "600"],
        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": COPIER},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": MODELS_CLAIM}}],
        },
    }
