"""Agents that go: what stays, and what does not count for their successors."""

from dlagent.reconcile.ports import Key
from tests.unit.reconcile.fake import NAMESPACE, FakeCluster, agent_object
from tests.unit.reconcile.lives import (
    served,
    told,
)
from tests.unit.reconcile.operator_process import Operator


async def test_deletion_leaves_the_store_and_nothing_else(
    cluster: FakeCluster, operator: Operator
) -> None:
    await served(cluster, operator)
    cluster.remove("DLAgent", "shoes")
    for _ in range(3):
        cluster.step()
    assert {"PersistentVolumeClaim", "ConfigMap", "NetworkPolicy"} == {
        kind for kind, _, _ in cluster.objects
    }


async def test_pods_of_a_deleted_agent_do_not_make_its_successor_ready(
    cluster: FakeCluster, operator: Operator
) -> None:
    await served(cluster, operator)
    left = cluster.of_kind("Pod")
    cluster.remove("DLAgent", "shoes")
    for _ in range(3):
        cluster.step()
    for pod in left:
        cluster.put(pod)  # they go after their Deployment, and are ready until then
    cluster.broken = lambda _deployment: True
    cluster.put(agent_object())
    for _ in range(5):
        await operator.visit_all()
        cluster.step()
        for pod in left:
            cluster.put(pod)
    ready = told(cluster, "Ready")
    assert ready is not None
    assert "False" == ready[0]


async def test_an_agent_that_is_gone_or_going_gets_no_visit(
    cluster: FakeCluster, operator: Operator
) -> None:
    assert None is await operator.reconciler.reconcile(Key(NAMESPACE, "nobody"))
    going = agent_object()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.put(going)
    assert None is await operator.reconciler.reconcile(Key(NAMESPACE, "shoes"))
    assert [] == cluster.requests
