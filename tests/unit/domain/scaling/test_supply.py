"""What a pod is worth to the load."""

from datetime import UTC, datetime

import pytest

from dlagent.domain.rollout.seen import Container, Pod
from dlagent.domain.scaling.births import BEFORE
from dlagent.domain.scaling.signals import Supply
from dlagent.domain.scaling.supply import supply

NOW = 10_000.0
START_SECONDS = 30.0  # a pod that takes 90 s is overdue


def ago(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOW - seconds, UTC)


LOOPS = Container("triton", waiting_reason="CrashLoopBackOff", exit_code=1)


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(Pod("a", created=ago(9), ready=True), Supply.READY, id="it answers"),
        pytest.param(
            Pod("a", created=ago(9), ready=True, deleting=True), Supply.LEAVING, id="it goes"
        ),
        pytest.param(Pod("a", created=ago(20)), Supply.STARTING, id="it comes up"),
        pytest.param(Pod("a", created=ago(100)), Supply.STUCK, id="it is overdue"),
        pytest.param(
            Pod("a", created=ago(9000), unready_since=ago(10)),
            Supply.STARTING,
            id="it answered for hours and does not for a moment",
        ),
        pytest.param(
            Pod("a", created=ago(9000), unready_since=ago(100)),
            Supply.STUCK,
            id="it answered for hours and does not for long",
        ),
        pytest.param(
            Pod("a", created=ago(10), containers=(LOOPS,)), Supply.STUCK, id="it ends each time"
        ),
        pytest.param(
            Pod("a", created=ago(10), unschedulable="no node fits"),
            Supply.UNSCHEDULABLE,
            id="no node takes it",
        ),
    ],
)
def test_worth(pod: Pod, expected: Supply) -> None:
    (seen,) = supply([pod], "", {}, NOW, START_SECONDS)
    assert expected is seen.supply


def test_a_pod_that_was_evicted_is_none() -> None:
    evicted = Pod("a", created=ago(9000), ended=True, failure="Evicted")
    assert () == supply([evicted], "", {}, NOW, START_SECONDS)


def test_pods_of_another_revision_do_not_serve() -> None:
    pods = [Pod("a", revision="one"), Pod("b", revision="two")]
    assert [True, False] == [p.serving for p in supply(pods, "one", {}, NOW, START_SECONDS)]


def test_when_its_counters_began_is_told_where_it_is_known() -> None:
    found = supply([Pod("a"), Pod("b")], "", {"a": 90.0}, NOW, START_SECONDS)
    assert [90.0, BEFORE] == [pod.counted_since for pod in found]
