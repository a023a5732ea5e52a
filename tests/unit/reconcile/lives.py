"""What tests of whole lives have in common: questions to a fake cluster."""

from typing import Any

from dlagent.api.conditions import ConditionType
from dlagent.api.status import DLAgentStatus
from dlagent.domain.status.model import find_condition, parse_status, serving_revision
from tests.unit.reconcile.fake import NAMESPACE, FakeCluster, agent_object
from tests.unit.reconcile.operator_process import Operator

Json = dict[str, Any]


def config_map(text: str | None) -> Json:
    """The one that ACT names, with this script; None: without."""
    data = {} if text is None else {"act.py": text}
    metadata = {"name": "steps", "namespace": NAMESPACE}
    return {"kind": "ConfigMap", "metadata": metadata, "data": data}


# Steps of which the last is a script.
ACT: list[Json] = [
    {"softmax": {}},
    {
        "python": {
            "configMapRef": {"name": "steps", "key": "act.py"},
            "outputs": [{"name": "best", "dataType": "INT64", "shape": [1]}],
        }
    },
]


def status(cluster: FakeCluster, name: str = "shoes") -> DLAgentStatus:
    return parse_status(cluster.objects["DLAgent", NAMESPACE, name].get("status"))


def told(cluster: FakeCluster, type_: str, name: str = "shoes") -> tuple[str, str] | None:
    found = find_condition(status(cluster, name), ConditionType(type_))
    return (found.status, found.reason) if found is not None else None


def message(cluster: FakeCluster, type_: str = "Ready") -> str:
    found = find_condition(status(cluster), ConditionType(type_))
    assert found is not None
    return found.message


def resolved(cluster: FakeCluster) -> str | None:
    source = status(cluster).source
    return source.resolved_sha256 if source is not None else None


def deployments(cluster: FakeCluster) -> list[str]:
    return sorted(obj["metadata"]["name"] for obj in cluster.of_kind("Deployment"))


def deployment_of(revision: str | None) -> str:
    assert revision is not None
    return f"shoes-{revision[:8]}"


async def served(cluster: FakeCluster, operator: Operator, **spec: Any) -> str:
    """An agent that serves; returns its revision."""
    cluster.put(agent_object(**spec))
    await operator.settle()
    revision = serving_revision(status(cluster))
    assert ("True", "Serving") == told(cluster, "Ready")
    assert revision is not None
    return revision
