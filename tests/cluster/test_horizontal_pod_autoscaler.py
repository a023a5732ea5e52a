"""In mode Manual a real HorizontalPodAutoscaler decides, and the operator carries it out."""

import re
from itertools import groupby
from pathlib import Path

import pytest

from dlagent_local.external_metrics import (
    AGENT_LABEL,
    METRIC,
    external_metrics,
    requests_per_second,
)
from dlagent_local.kube import ApiError
from harness import Agent, Json, eventually
from models import scaling_model, write
from rooms import Room
from sizes import Sizes, check_properties, watched_sizes
from traffic import traffic

ROW = [1.0, 2.0, 3.0, 4.0]
PER_REPLICA = 20
MANY, FEW = 50.0, 2.0  # requests a second: for three replicas, and for one
_NEW_SIZE = re.compile(r"New size: (\d+);")


def autoscaler(agent: Agent) -> Json:
    """One to three replicas, each for PER_REPLICA requests a second."""
    metric = {"name": METRIC, "selector": {"matchLabels": {AGENT_LABEL: agent.name}}}
    target = {"type": "AverageValue", "averageValue": str(PER_REPLICA)}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": agent.name},
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "dlagent.io/v1alpha1",
                "kind": "DLAgent",
                "name": agent.name,
            },
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [{"type": "External", "external": {"metric": metric, "target": target}}],
            # The default is five minutes.
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}},
        },
    }


def test_a_horizontal_pod_autoscaler_sets_the_replicas_in_mode_manual(
    room: Room, tmp_path: Path
) -> None:
    write(room.models, "model.onnx", scaling_model(2))
    agent = room.agent()
    prometheus_url = room.cluster.service_url("monitoring", "prometheus")
    kube, namespace = room.cluster.kube(), room.kubectl.namespace
    with external_metrics(kube, namespace, prometheus_url, tmp_path):
        with pytest.raises(ApiError, match="no samples"):
            requests_per_second(kube, namespace, agent.name)
        agent.apply(by_hand(room))
        agent.wait_ready()
        with watched_sizes(agent) as sizes:
            follow_the_load(room, agent)
        assert_the_autoscaler_alone_decided(agent, sizes)
        check_properties(room, [agent], [sizes])


def by_hand(room: Room) -> Json:
    return room.spec(
        serving={"runtime": "simulated-accelerator"},
        slo={"latency": {"thresholdMilliseconds": 500}},
        scaling={"mode": "Manual"},
        replicas=1,
    )


def follow_the_load(room: Room, agent: Agent) -> None:
    """Up with the rate and down with it, without a request that fails."""
    room.kubectl.apply(autoscaler(agent))
    with traffic(agent, MANY, [ROW]) as load:
        wait_for_replicas(agent, 3)
        condition = agent.wait_for("ScalingActive", "False", "Manual")
        assert "spec.replicas counts" in condition["message"]
        load.per_second = FEW
        wait_for_replicas(agent, 1)
        assert {} == load.failures


def wait_for_replicas(agent: Agent, count: int) -> None:
    eventually(
        lambda: agent.get()["spec"]["replicas"],
        lambda replicas: replicas == count,
        what=f"the autoscaler asks for {count}",
    )
    eventually(
        lambda: agent.get()["status"],
        lambda status: [count, count] == [status["replicas"], status["readyReplicas"]],
        what=f"the status shows {count} replicas, all of them ready",
    )
    eventually(lambda: len(agent.serving_pods()), lambda n: n == count, what=f"{count} pods")


def assert_the_autoscaler_alone_decided(agent: Agent, sizes: Sizes) -> None:
    """Each size of the Deployment is one that the autoscaler tells of, in the same order."""
    written = [replicas for replicas, _ in groupby(size.replicas for size in sizes.seen)]
    top = written.index(3)
    assert sorted(written[:top]) == written[:top], f"it went down before it was at 3: {written}"
    assert sorted(written[top:], reverse=True) == written[top:], f"it went up again: {written}"
    told = sizes_told(agent)
    ahead = iter([1, *told])
    assert all(replicas in ahead for replicas in written), f"{written} for {told}"


def sizes_told(agent: Agent) -> list[int]:
    """By the autoscaler's own events."""
    events = agent.kubectl.items("events", "--field-selector=reason=SuccessfulRescale")
    events.sort(key=lambda event: str(event["firstTimestamp"]))
    return [int(found[1]) for e in events if (found := _NEW_SIZE.match(e["message"]))]
