"""What is in the cluster from the start: the node's rights, Prometheus and the operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from dlagent_local.kube import Kube, load_manifests, wait_for
from dlagent_local.paths import REPOSITORY
from dlagent_local.progress import Progress

OPERATOR_NAMESPACE = "dlagent-system"
RELEASE = "dlagent-operator"

_FOLDER = Path(__file__).parent
_OPERATOR_SECONDS = 90.0
_OPERATOR = f"/apis/apps/v1/namespaces/{OPERATOR_NAMESPACE}/deployments/{RELEASE}"
_LOOK = f"see `dlagent local kubectl logs -n {OPERATOR_NAMESPACE} deploy/{RELEASE}`"
_CHART = REPOSITORY / "charts/dlagent-operator"
_PROMETHEUS_SECONDS = 60.0
_PROMETHEUS = "/apis/apps/v1/namespaces/monitoring/deployments/prometheus"


class DeployError(RuntimeError):
    """What runs inside the cluster could not be installed."""


def node_rights(kube: Kube) -> None:
    """What the node's kubelet may read, without waiting for the Node authorizer."""
    for manifest in load_manifests(_FOLDER / "manifests/node.yaml"):
        kube.apply(manifest)


def monitoring(kube: Kube, progress: Progress) -> None:
    """Prometheus, which finds what to scrape by annotations of pods as it does elsewhere."""
    progress.begin("prometheus-pod", "starting Prometheus")
    namespace, *others = load_manifests(_FOLDER / "manifests/monitoring.yaml")
    for manifest in (namespace, prometheus_rules(), *others):
        kube.apply(manifest)

    def ready() -> bool:
        status = kube.get(_PROMETHEUS).get("status", {})
        return int(status.get("readyReplicas", 0)) > 0

    wait_for("readiness of Prometheus", ready, _PROMETHEUS_SECONDS)
    progress.end("prometheus-pod")


def prometheus_rules() -> dict[str, Any]:
    """The ConfigMap with the operator's recording rules, which the chart has in a file."""
    rules = (_CHART / "files/rules.yaml").read_text()
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "prometheus-rules", "namespace": "monitoring"},
        "data": {"rules.yaml": rules},
    }


def operator_values(prometheus_url: str) -> dict[str, Any]:
    """The chart's values for this cluster."""
    values: dict[str, Any] = yaml.safe_load((_FOLDER / "values.yaml").read_text())
    values["settings"]["prometheus"]["url"] = prometheus_url
    return values


def operator(kube: Kube, kubeconfig: Path, values: dict[str, Any], progress: Progress) -> None:
    """The operator, by its Helm chart: the same as `helm upgrade --install --wait`.

    Raises DeployError when the chart is refused, TimeoutError when the operator does not get ready.
    """
    progress.begin("operator", "installing the operator's chart")
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPERATOR_NAMESPACE}})
    _install_chart(kubeconfig, values)

    def ready() -> bool:
        deployment = kube.get(_OPERATOR)
        status = deployment.get("status", {})
        current = status.get("observedGeneration") == deployment["metadata"]["generation"]
        wanted = deployment["spec"]["replicas"]
        # An upgrade is done when the new pods, and none but them, are ready.
        counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")]
        return current and counts == [wanted] * 3

    wait_for(f"readiness of the operator ({_LOOK})", ready, _OPERATOR_SECONDS)
    progress.end("operator")


def _install_chart(kubeconfig: Path, values: dict[str, Any]) -> None:
    import helm_python  # loads a library of 60 MB, which no other command needs

    try:
        with helm_python.Config(kubeconfig_path=kubeconfig, namespace=OPERATOR_NAMESPACE) as config:
            try:
                config.status(RELEASE)
            except helm_python.HelmNotFoundError:
                config.install(_CHART, RELEASE, values, namespace=OPERATOR_NAMESPACE)
            else:
                config.upgrade(_CHART, RELEASE, values, namespace=OPERATOR_NAMESPACE)
    except helm_python.HelmError as error:
        raise DeployError(f"Helm could not install {_CHART.name}: {error}") from error
