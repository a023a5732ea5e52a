"""What clients and the cluster see of an agent: Services, disruption budget, account, policy."""

from dlagent.api import names
from dlagent.manifests.common import (
    Object,
    Owner,
    owned_metadata,
    serving_labels,
    serving_selector,
)
from dlagent.manifests.deployment import GRPC_PORT, HTTP_PORT, METRICS_PORT

# Pods of other namespaces that may ask an agent carry this label with the value "true".
CLIENT_LABEL = "dlagent.io/client"


def service(owner: Owner, revision: str) -> Object:
    """The agent's address; its selector names the one revision that answers."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owned_metadata(owner, owner.name, serving_labels(owner.name)),
        "spec": {
            "type": "ClusterIP",
            "selector": {**serving_selector(owner.name), names.REVISION_LABEL: revision},
            "ports": [_port("http", HTTP_PORT), _port("grpc", GRPC_PORT)],
        },
    }


def headless_service(owner: Owner) -> Object:
    """Names each serving pod of every revision, for metrics and for clients that balance."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owned_metadata(owner, f"{owner.name}-pods", serving_labels(owner.name)),
        "spec": {
            "clusterIP": "None",
            "selector": serving_selector(owner.name),
            "ports": [
                _port("http", HTTP_PORT),
                _port("grpc", GRPC_PORT),
                _port("metrics", METRICS_PORT),
            ],
        },
    }


def _port(name: str, number: int) -> Object:
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP"}


def disruption_budget(owner: Owner) -> Object:
    """At most one pod at a time goes by eviction; pods that are not ready never block a drain."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": owned_metadata(owner, owner.name, serving_labels(owner.name)),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": serving_selector(owner.name)},
        },
    }


def service_account(owner: Owner) -> Object:
    """An identity that may do nothing: no token is mounted and no role is bound."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": owned_metadata(owner, owner.name, serving_labels(owner.name)),
        "automountServiceAccountToken": False,
    }


def network_policy(owner: Owner) -> Object:
    """Who may come in: the agent's namespace, marked clients, the operator, and Prometheus.

    Nothing may go out: a serving pod reads a mounted volume and answers. Where artifacts are in an
    object store, the store's own policy adds that.
    """
    inference = [{"protocol": "TCP", "port": "http"}, {"protocol": "TCP", "port": "grpc"}]
    metrics = [{"protocol": "TCP", "port": "metrics"}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": owned_metadata(owner, owner.name, serving_labels(owner.name)),
        "spec": {
            "podSelector": {"matchLabels": serving_selector(owner.name)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [
                        {"podSelector": {}},
                        _anywhere({CLIENT_LABEL: "true"}),
                        _anywhere({"app.kubernetes.io/name": "dlagent-operator"}),
                    ],
                    "ports": inference,
                },
                {
                    "from": [_anywhere({"app.kubernetes.io/name": "prometheus"})],
                    "ports": metrics,
                },
            ],
        },
    }


def _anywhere(labels: dict[str, str]) -> Object:
    """Pods of any namespace that carry the labels."""
    return {"namespaceSelector": {}, "podSelector": {"matchLabels": labels}}
