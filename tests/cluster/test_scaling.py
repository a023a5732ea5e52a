"""Replicas follow the load, in each mode, and whatever else happens to the agent meanwhile.

The faults of the metrics are in test_scaling_metrics.py, an autoscaler in mode Manual in
test_horizontal_pod_autoscaler.py.
"""

import random
import time
from contextlib import ExitStack

import psutil
import pytest

from harness import Agent, KubectlError, eventually
from rooms import OperatorUnderTest, Room
from scaled import (
    DOUBLED,
    DOWN_SECONDS,
    ROW,
    UP_SECONDS,
    explained,
    quick_operator,
    replicas,
    scaling_agent,
    scaling_spec,
    wait_replicas,
)
from sizes import check_properties, watched_sizes
from traffic import ALMOST_NONE, FOR_ONE, FOR_THREE, FOR_TWO, traffic

RESOURCE = "example.com/accelerator"
NODE = "localhost"
MADE_UP_FOR = "1 of them for pods that do not come up"
HELD_SECONDS = 20.0  # more than two ticks of the scaler


def events(room: Room, reason: str) -> list[str]:
    return [e["message"] for e in room.kubectl.items("events") if e["reason"] == reason]


def stays(agent: Agent, count: int) -> None:
    """The number is the same for some ticks of the scaler."""
    end = time.monotonic() + HELD_SECONDS
    while time.monotonic() < end:
        assert count == replicas(agent)
        time.sleep(1)


@pytest.mark.timeout(600)
def test_two_agents_scale_at_once_and_others_are_left_alone(room: Room) -> None:
    one, two, calm, idle = agents = [
        scaling_agent(room, name) for name in ("one", "two", "calm", "idle")
    ]
    with ExitStack() as stack:
        sizes = [stack.enter_context(watched_sizes(agent)) for agent in agents]
        loads = [stack.enter_context(traffic(agent, FOR_TWO, [ROW])) for agent in (one, two)]
        stack.enter_context(traffic(calm, FOR_ONE, [ROW]))
        for agent in (one, two):
            wait_replicas(agent, 2)
        calm.wait_for("SLOMet", "True", "Met", within_seconds=DOWN_SECONDS)
        idle.wait_for("SLOMet", "Unknown", "NoTraffic", within_seconds=DOWN_SECONDS)
        assert [1, 1] == [replicas(calm), replicas(idle)]
        for load in loads:
            load.per_second = ALMOST_NONE
        for agent in (one, two):
            wait_replicas(agent, 1, DOWN_SECONDS)
        assert [{}, {}] == [load.failures for load in loads]
    check_properties(room, agents, sizes)
    told = events(room, "ScaledUp")
    assert any("requests/s arrive" in message for message in told), told


@pytest.mark.disruptive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_operator_killed_at_random_moments_of_a_scaling(
    room: Room, operator: OperatorUnderTest, seed: int
) -> None:
    moments = random.Random(seed)
    with quick_operator(room.cluster):
        agent = scaling_agent(room)
        with watched_sizes(agent) as sizes, traffic(agent, ALMOST_NONE, [ROW]) as load:
            began = time.time()
            load.per_second = FOR_THREE
            for _ in range(4):
                time.sleep(moments.uniform(1, 12))
                operator.kill()
            wait_replicas(agent, 3)
            lowered = [after for _, after in sizes.lowered(began, time.time())]
            assert [] == [size for size in lowered if size.replicas < 3], "the load needs three"
            load.per_second = ALMOST_NONE
            eventually(lambda: replicas(agent), lambda n: n == 2, DOWN_SECONDS, "one fewer")
            operator.kill()
            wait_replicas(agent, 1, DOWN_SECONDS)
            assert {} == load.failures
        check_properties(room, [agent], [sizes])


@pytest.mark.timeout(600)
def test_a_pod_that_never_becomes_ready_is_made_up_for(room: Room) -> None:
    agent = scaling_agent(room)
    with watched_sizes(agent) as sizes, traffic(agent, FOR_TWO, [ROW]):
        eventually(lambda: replicas(agent), lambda n: n == 2, what="a second replica is asked for")
        freeze_newest_triton(agent)
        eventually(
            lambda: agent.get()["status"]["scaling"],
            lambda said: said["desired"] >= 3 and MADE_UP_FOR in said["message"],
            DOWN_SECONDS,
            "one in its place",
        )
        eventually(
            lambda: agent.get()["status"]["readyReplicas"],
            lambda n: n >= 2,
            what="as many as are needed answer",
        )
        agent.wait_ready()
    assert DOUBLED == agent.infer([ROW])["y"]
    check_properties(room, [agent], [sizes])


def freeze_newest_triton(agent: Agent) -> None:
    """Stop the process of the newest pod as soon as it is there: it hangs, as programs do."""

    def newest_ip() -> str:
        pods = agent.serving_pods()
        assert len(pods) == 2
        pod = max(pods, key=lambda item: str(item["metadata"]["creationTimestamp"]))
        found: str = pod["status"]["podIP"]
        return found

    argument = f"--http-address={eventually(newest_ip, what='the address of the new pod')}"

    def freeze() -> bool:
        for process in psutil.process_iter(["name", "cmdline"]):
            command = process.info["cmdline"] or []
            if process.info["name"] == "tritonserver" and argument in command:
                process.suspend()
                return True
        return False

    eventually(freeze, what="its Triton")


@pytest.mark.timeout(600)
def test_a_full_node_is_said_with_the_number_that_is_needed(room: Room) -> None:
    offer_accelerators(room, 2)
    try:
        agent = scaling_agent(room, serving={"accelerator": {"resource": RESOURCE}})
        with watched_sizes(agent) as sizes, traffic(agent, FOR_THREE, [ROW]) as load:
            limited = agent.wait_for("ScalingLimited", "True", "Unschedulable")
            needed = replicas(agent)
            # The load takes three; what had come to wait when it was decided may take another.
            assert needed in (3, 4)
            assert f"The load needs {needed} replicas" in limited["message"]
            assert "True" == agent.condition("Available")["status"]
            stays(agent, needed)
            offer_accelerators(room, 4)
            eventually(
                lambda: (replicas(agent), agent.get()["status"]["readyReplicas"]),
                lambda now: now[0] == now[1] >= 3,
                UP_SECONDS,
                what="as many answer as are asked for, at least three",
            )
            agent.wait_for("ScalingLimited", "False", "WithinLimits")
            assert {} == load.failures
        check_properties(room, [agent], [sizes])
    finally:
        offer_accelerators(room, 0)


def offer_accelerators(room: Room, count: int) -> None:
    """What a device plugin would tell of the node."""
    patch = f'{{"status": {{"capacity": {{"{RESOURCE}": "{count}"}}}}}}'
    room.kubectl("patch", "node", NODE, "--subresource=status", "--type=merge", "-p", patch)


@pytest.mark.timeout(600)
def test_the_maximum_is_kept_and_said(room: Room) -> None:
    agent = scaling_agent(room, scaling={"maxReplicas": 2})
    with watched_sizes(agent) as sizes, traffic(agent, FOR_THREE, [ROW]):
        limited = agent.wait_for("ScalingLimited", "True", "AtMaximum")
        assert "spec.scaling.maxReplicas is 2" in limited["message"]
        wait_replicas(agent, 2)
        stays(agent, 2)
        assert "a higher spec.scaling.maxReplicas" in explained(agent)
        eventually(
            lambda: explained(agent, "--at", "5s"),
            lambda said: "2 replicas, by the bounds" in said,
            what="Prometheus has a tick at which the whole load was measured",
        )
    check_properties(room, [agent], [sizes])


@pytest.mark.timeout(600)
def test_an_agent_deleted_while_it_scales_leaves_nothing_and_begins_anew(room: Room) -> None:
    agent = scaling_agent(room)
    with traffic(agent, FOR_THREE, [ROW]):
        eventually(lambda: replicas(agent), lambda n: n >= 2, what="it scales")
        room.kubectl("delete", "dlagent", agent.name)
    eventually(
        lambda: room.kubectl.items("pods,deployments,services,poddisruptionbudgets"),
        lambda left: left == [],
        what="nothing is left",
    )

    agent = scaling_agent(room)
    with watched_sizes(agent) as sizes:
        assert 1 == replicas(agent)
        stays(agent, 1)
    check_properties(room, [agent], [sizes])


@pytest.mark.timeout(600)
def test_who_decides_in_each_mode(room: Room) -> None:
    agent = scaling_agent(room)
    with pytest.raises(KubectlError, match=r"set scaling\.mode: Manual"):
        room.kubectl("scale", "dlagent", agent.name, "--replicas=3")

    with watched_sizes(agent) as sizes:
        agent.apply(scaling_spec(room, scaling={"mode": "Advise"}))
        with pytest.raises(KubectlError, match=r"set scaling\.mode: Manual"):
            room.kubectl("scale", "dlagent", agent.name, "--replicas=3")
        with traffic(agent, FOR_TWO, [ROW]):
            agent.wait_for("ScalingActive", "True", "Advise")
            eventually(
                lambda: agent.get()["status"]["scaling"]["desired"],
                lambda n: n >= 2,
                what="the advice",
            )
            assert 1 == replicas(agent)
            eventually(lambda: events(room, "ScalingAdvised"), what="an event with the advice")

        agent.apply(scaling_spec(room, scaling={"mode": "Manual"}, replicas=1))
        agent.wait_for("ScalingActive", "False", "Manual")
        room.kubectl("scale", "dlagent", agent.name, "--replicas=2")
        wait_replicas(agent, 2)
        stays(agent, 2)

        agent.apply(scaling_spec(room))
        agent.wait_for("ScalingActive", "True", "Active")
        assert 2 == replicas(agent), "what was set by hand is taken over"
        wait_replicas(agent, 1, DOWN_SECONDS)
    check_properties(room, [agent], [sizes])
