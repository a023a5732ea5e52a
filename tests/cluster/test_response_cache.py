"""serving.responseCache: equal requests are answered from memory, and what that does to SLOMet."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from dlagent.manifests.deployment import METRICS_PORT
from harness import Agent, eventually
from models import scaling_model, write
from rooms import Room
from scaled import DOUBLED, DOWN_SECONDS, ROW
from traffic import FOR_ONE, traffic

HITS, MISSES = "nv_cache_num_hits_per_model", "nv_cache_num_misses_per_model"
OTHER_ROW = [5.0, 6.0, 7.0, 8.0]


def counted(agent: Agent, metric: str) -> float:
    """A counter of the agent's one Triton; the parser gives its name the ending of OpenMetrics."""
    (pod,) = agent.serving_pods()
    url = f"http://{pod['status']['podIP']}:{METRICS_PORT}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == f"{metric}_total" and sample.labels["model"] == agent.name
    )


def test_an_equal_request_is_answered_from_memory_and_the_promise_is_not_judged(
    room: Room,
) -> None:
    write(room.models, "model.onnx", scaling_model(2))
    agent = room.agent()
    agent.apply(room.spec(serving={"responseCache": True}))
    agent.wait_ready()
    hits, misses = counted(agent, HITS), counted(agent, MISSES)

    assert DOUBLED == agent.infer([ROW])["y"]
    assert (hits, misses + 1) == (counted(agent, HITS), counted(agent, MISSES))
    assert DOUBLED == agent.infer([ROW])["y"]
    assert (hits + 1, misses + 1) == (counted(agent, HITS), counted(agent, MISSES))
    assert [2 * value for value in OTHER_ROW] == agent.infer([OTHER_ROW])["y"]
    assert (hits + 1, misses + 2) == (counted(agent, HITS), counted(agent, MISSES))

    with traffic(agent, FOR_ONE, [ROW]) as load:
        eventually(
            lambda: agent.condition("SLOMet"),
            lambda c: (
                (c.get("status"), c.get("reason")) == ("Unknown", "NoData")
                and "no pod tells how long its answers took" in c["message"]
            ),
            DOWN_SECONDS,
            "SLOMet says that no latency is told",
        )
    assert {} == load.failures
