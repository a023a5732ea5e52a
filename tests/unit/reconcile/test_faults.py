"""Crashes and errors at any write, in any order: the end is that of a run without them."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlagent.domain.status.errors import ClusterError
from dlagent.domain.status.model import serving_revision
from tests.unit.reconcile.fake import Crash, FakeCluster, agent_object
from tests.unit.reconcile.lives import (
    deployment_of,
    status,
)
from tests.unit.reconcile.operator_process import Operator, end_state


async def life(cluster: FakeCluster, operate: Callable[[], Any]) -> None:
    """Build, serve, change the source and the size, and give up a bad revision."""
    cluster.put(agent_object(rollout={"deadlineSeconds": 60}))
    await operate()
    cluster.files["pvc://models/new.onnx"] = "b" * 64
    cluster.edit(
        model={"source": {"uri": "pvc://models/new.onnx"}},
        scaling={"mode": "Manual"},
        replicas=2,
    )
    await operate()
    good = serving_revision(status(cluster))
    cluster.lying = lambda obj: obj["metadata"]["name"] != deployment_of(good)
    cluster.edit(serving={"maxBatchSize": 4})
    await operate()


@functools.cache
def _fault_free() -> list[tuple[dict[str, Any], int]]:
    return []


async def fault_free() -> tuple[dict[str, Any], int]:
    """The end of a life without faults, and how many writes it took."""
    known = _fault_free()
    if not known:
        cluster = FakeCluster()
        await life(cluster, Operator(cluster).settle)
        known.append((end_state(cluster), len(cluster.requests)))
    return known[0]


async def test_a_crash_around_any_write_changes_nothing_in_the_end() -> None:
    expected, writes = await fault_free()
    assert 20 < writes < 60
    for number in range(writes):
        for when in ("before", "after"):
            cluster = FakeCluster()
            await life(cluster, crashing(cluster, {(when, number)}))
            assert expected == end_state(cluster), f"crash {when} write {number}"


def crashing(cluster: FakeCluster, crashes: set[tuple[str, int]]) -> Callable[[], Any]:
    """Settles with an operator that dies at these writes and is started again."""
    left = set(crashes)

    def on_write(when: str, number: int) -> None:
        if (when, number) in left:
            left.discard((when, number))
            raise Crash

    return restarting(cluster, on_write)


def restarting(cluster: FakeCluster, on_write: Callable[[str, int], None]) -> Callable[[], Any]:
    """Settles with an operator that is started again whenever it dies."""
    cluster.on_write = on_write

    async def operate() -> None:
        while True:
            try:
                await Operator(cluster).settle()
            except Crash:
                continue
            return

    return operate


@pytest.mark.parametrize("code", [None, 409, 422, 429, 500, 503])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_error_at_any_write_changes_nothing_in_the_end(
    when: str, code: int | None
) -> None:
    expected, writes = await fault_free()
    for number in range(writes):
        cluster = FakeCluster()

        def fail(at: str, count: int, number: int = number) -> None:
            if (at, count) == (when, number):
                raise ClusterError(code, "injected")

        cluster.on_write = fail
        await life(cluster, Operator(cluster).settle)
        assert expected == end_state(cluster), f"{code} {when} write {number}"


FAULTS = st.tuples(
    st.sampled_from(["before", "after"]),
    st.integers(0, 60),
    st.sampled_from(["crash", None, 409, 422, 429, 500, 503]),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FAULTS, max_size=6))
async def test_any_sequence_of_faults_that_ends_changes_nothing_in_the_end(
    faults: list[tuple[str, int, Any]],
) -> None:
    expected, _ = await fault_free()
    cluster = FakeCluster()
    left = {(when, number): fault for when, number, fault in faults}

    def on_write(when: str, number: int) -> None:
        if (when, number) in left:
            fault = left.pop((when, number))
            raise Crash if fault == "crash" else ClusterError(fault, "injected")

    await life(cluster, restarting(cluster, on_write))
    assert expected == end_state(cluster)
