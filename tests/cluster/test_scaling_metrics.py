"""Metrics that are lost or wrong: never fewer replicas (P5), and the status says why."""

import time

import pytest

from harness import Agent, Kubectl, eventually
from metrics_faults import Fault, FaultyPrometheus
from rooms import Room
from scaled import (
    DOWN_SECONDS,
    QUICK_HOLD_SECONDS,
    ROW,
    quick_operator,
    scaling_agent,
    wait_replicas,
)
from sizes import check_properties, watched_sizes
from traffic import ALMOST_NONE, FOR_TWO, traffic

FAULTS = {
    Fault.SLOW: "does not answer",
    Fault.EMPTY: "no fresh sample",
    Fault.NAN: "no fresh sample",
    Fault.GAP: "no fresh sample",
}
UNREACHABLE = "answered HTTP 502"  # by the proxy, as before a real Prometheus that is gone


def wait_blind(agent: Agent, why: str) -> None:
    """Until the status says that scaling is off, and for this reason."""
    eventually(
        lambda: agent.condition("ScalingActive"),
        lambda c: (
            (c.get("status"), c.get("reason")) == ("False", "MetricsUnavailable")
            and why in c["message"]
        ),
        what=f"MetricsUnavailable because {why}",
    )


def wait_tempted() -> None:
    """So long that fewer replicas would have been decided, had the load been known."""
    time.sleep(QUICK_HOLD_SECONDS + 10)


@pytest.mark.disruptive
@pytest.mark.timeout(900)
def test_replicas_stay_while_the_metrics_are_wrong(room: Room, kubectl_binary: str) -> None:
    faulty = FaultyPrometheus(room.cluster.service_url("monitoring", "prometheus"))
    with faulty.serving(), quick_operator(room.cluster, faulty.url):
        agent = scaling_agent(room)
        with watched_sizes(agent) as sizes, traffic(agent, FOR_TWO, [ROW]) as load:
            wait_replicas(agent, 2)
            lost = time.time()
            load.per_second = ALMOST_NONE
            for fault, why in FAULTS.items():
                faulty.set(fault)
                wait_blind(agent, why)
                wait_tempted()
                assert [] == sizes.lowered(lost, time.time()), fault
            prometheus = Kubectl(kubectl_binary, room.kubectl.kubeconfig, "monitoring")
            prometheus("scale", "deployment/prometheus", "--replicas=0")
            faulty.set(Fault.NONE)
            try:
                wait_blind(agent, UNREACHABLE)
                wait_tempted()
                assert [] == sizes.lowered(lost, time.time()), "Prometheus is down"
            finally:
                prometheus("scale", "deployment/prometheus", "--replicas=1")
            agent.wait_for("ScalingActive", "True", "Active")
            wait_replicas(agent, 1, DOWN_SECONDS)
            assert {} == load.failures
        check_properties(room, [agent], [sizes])
