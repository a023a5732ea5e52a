"""What runs inside the cluster from the start: Prometheus and the operator."""

from __future__ import annotations

from pathlib import Path

import yaml

from dlagent_local.kube import Kube, load_manifests, wait_for
from dlagent_local.paths import REPOSITORY
from dlagent_local.progress import Progress

OPERATOR_NAMESPACE = "dlagent-system"
RELEASE = "dlagent-operator"

_FOLDER = Path(__file__).parent
_HELM_SECONDS = 90
_PROMETHEUS_SECONDS = 60.0
_PROMETHEUS = "/apis/apps/v1/namespaces/monitoring/deployments/prometheus"


def monitoring(kube: Kube, progress: Progress) -> None:
    """Prometheus, which finds what to scrape by annotations of pods as it does elsewhere."""
    progress.begin("prometheus-pod", "starting Prometheus")
    for manifest in load_manifests(_FOLDER / "manifests/monitoring.yaml"):
        kube.apply(manifest)

    def ready() -> bool:
        status = kube.get(_PROMETHEUS).get("status", {})
        return int(status.get("readyReplicas", 0)) > 0

    wait_for("readiness of Prometheus", ready, _PROMETHEUS_SECONDS)
    progress.end("prometheus-pod")


def operator(kube: Kube, kubeconfig: Path, progress: Progress) -> None:
    """The operator, by its Helm chart: the same as `helm upgrade --install --wait`."""
    import helm_python  # loads a library of 60 MB, which no other command needs

    progress.begin("operator", "installing the operator's chart")
    chart = REPOSITORY / "charts/dlagent-operator"
    values = yaml.safe_load((_FOLDER / "values.yaml").read_text())
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPERATOR_NAMESPACE}})
    with helm_python.Config(kubeconfig_path=kubeconfig, namespace=OPERATOR_NAMESPACE) as config:
        installed = any(release["name"] == RELEASE for release in config.list())
        action = config.upgrade if installed else config.install
        action(
            chart,
            RELEASE,
            values,
            namespace=OPERATOR_NAMESPACE,
            wait="legacy",
            timeout=_HELM_SECONDS,
        )
    progress.end("operator")
