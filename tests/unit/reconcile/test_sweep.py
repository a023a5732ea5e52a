"""Sweeps on a fake cluster: when one runs, what it takes, and that it never takes what is used."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dlagent.api import names
from dlagent.domain.status.errors import ClusterError
from dlagent.domain.status.model import parse_status
from dlagent.domain.sweep.unused import SweepReport
from dlagent.manifests.store import STORE_LABELS
from dlagent.manifests.sweep import SWEEP_NAME
from dlagent.reconcile.sweep import Sweeper
from tests.unit.reconcile.fake import NAMESPACE, SETTINGS, FakeCluster, agent_object
from tests.unit.reconcile.lives import ACT, config_map, served, status
from tests.unit.reconcile.operator_process import Operator

DAY, WEEK = timedelta(days=1), timedelta(days=7)


class Swept:
    """A sweeper, and what it told."""

    def __init__(self, cluster: FakeCluster, settings: Any = SETTINGS) -> None:
        self.told: list[SweepReport | None] = []
        self.sweeper = Sweeper(cluster, cluster, cluster, settings, self.told.append)
        self._cluster = cluster

    async def looks(self, times: int = 4) -> None:
        """Some looks, a minute apart, and what Jobs do between them."""
        for _ in range(times):
            await self.sweeper.tick()
            self._cluster.step()
            self._cluster.time += timedelta(seconds=60)


@pytest.fixture
def swept(cluster: FakeCluster) -> Swept:
    return Swept(cluster)


def records(cluster: FakeCluster) -> set[str]:
    labels = [obj["metadata"]["labels"] for obj in cluster.of_kind("ConfigMap")]
    return {found[names.ARTIFACT_LABEL] for found in labels if names.ARTIFACT_LABEL in found}


def served_key(cluster: FakeCluster) -> str:
    artifact = status(cluster).artifact
    assert artifact is not None
    return artifact.key


async def replaced(cluster: FakeCluster, operator: Operator) -> tuple[str, str]:
    """An agent that serves another model than it once did: the keys of both."""
    await served(cluster, operator)
    first = served_key(cluster)
    cluster.files["pvc://models/new.onnx"] = "b" * 64
    cluster.edit(model={"source": {"uri": "pvc://models/new.onnx"}})
    await operator.settle()
    return first, served_key(cluster)


async def test_what_no_agent_names_goes_with_its_record_once_it_is_old(
    cluster: FakeCluster, operator: Operator, swept: Swept
) -> None:
    first, second = await replaced(cluster, operator)

    cluster.time += DAY
    await swept.looks()
    assert {first, second} == cluster.stored, "what is young is kept"
    assert [SweepReport(kept_count=2)] == swept.told

    cluster.time += WEEK
    await swept.looks()

    assert {second} == cluster.stored
    assert {second[:16]} == records(cluster)
    assert SweepReport(removed_count=1, kept_count=1) == swept.told[-1]
    assert [] == cluster.of_kind("Job")
    outcome = cluster.objects["ConfigMap", NAMESPACE, SWEEP_NAME]["data"]
    assert '"removedCount":1' in outcome["report"]


async def test_the_record_goes_before_the_artifact(
    cluster: FakeCluster, operator: Operator, swept: Swept
) -> None:
    first, second = await replaced(cluster, operator)
    cluster.time += WEEK + DAY

    await swept.looks(1)

    assert {second[:16]} == records(cluster)
    assert {first, second} == cluster.stored
    assert [] == cluster.of_kind("Job")


async def test_an_agent_that_comes_to_want_an_artifact_while_a_sweep_runs_keeps_it(
    cluster: FakeCluster, operator: Operator, swept: Swept
) -> None:
    first, second = await replaced(cluster, operator)
    cluster.time += WEEK + DAY
    cluster.hold_sweeps = True
    await swept.looks(3)
    (job,) = cluster.of_kind("Job")
    assert f"--keep={first[:16]}" not in str(job)

    cluster.edit(model={"source": {"uri": "pvc://models/shoes.onnx", "sha256": "a" * 64}})
    await operator.settle()
    assert first == served_key(cluster)
    cluster.hold_sweeps = False
    await swept.looks()

    assert first in cluster.stored, "its build has made it young"
    assert [0] == [report.removed_count for report in swept.told if report]
    assert second in cluster.stored, "named when the sweep began"


async def test_between_sweeps_nothing_is_written(
    cluster: FakeCluster, operator: Operator, swept: Swept
) -> None:
    await served(cluster, operator)
    cluster.time += DAY
    await swept.looks()
    await operator.settle()
    cluster.requests.clear()

    await swept.looks()
    await operator.visit_all()

    assert [] == cluster.requests


async def test_a_look_is_taken_once_a_minute(
    cluster: FakeCluster, operator: Operator, swept: Swept
) -> None:
    await swept.sweeper.tick()
    await served(cluster, operator)
    cluster.time += timedelta(seconds=30)
    cluster.objects["DLAgent", NAMESPACE, "shoes"]["metadata"]["creationTimestamp"] = (
        "2020-01-01T00:00:00Z"
    )

    await swept.sweeper.tick()
    assert [] == cluster.of_kind("Job")

    cluster.time += timedelta(seconds=31)
    await swept.sweeper.tick()
    assert [SWEEP_NAME] == [job["metadata"]["name"] for job in cluster.of_kind("Job")]


async def test_a_sweep_that_failed_is_told_and_tried_at_the_next_interval(
    cluster: FakeCluster, operator: Operator, swept: Swept
) -> None:
    await served(cluster, operator)
    cluster.time += DAY
    cluster.hold_sweeps = True
    await swept.looks(1)
    (job,) = cluster.of_kind("Job")
    cluster._end_job(job, {"exitCode": 1, "message": "the store failed: no space"})

    await swept.looks(2)

    assert [None] == swept.told
    assert [] == cluster.of_kind("Job")
    failure = cluster.objects["ConfigMap", NAMESPACE, SWEEP_NAME]["data"]["failure"]
    assert "BackoffLimitExceeded the store failed: no space" == failure
    cluster.hold_sweeps = False
    cluster.time += DAY
    await swept.looks()
    assert [None, SweepReport(kept_count=1)] == swept.told


async def test_a_deployment_that_does_not_say_what_it_serves_stops_all_sweeps(
    cluster: FakeCluster, operator: Operator, swept: Swept
) -> None:
    await served(cluster, operator)
    (deployment,) = cluster.of_kind("Deployment")
    del deployment["metadata"]["labels"][names.ARTIFACT_LABEL]
    cluster.time += WEEK + DAY

    await swept.looks()

    assert [] == swept.told


async def test_where_no_agent_is_left_the_store_stays(
    cluster: FakeCluster, operator: Operator, swept: Swept
) -> None:
    await served(cluster, operator)
    cluster.remove("DLAgent", "shoes")
    cluster.time += WEEK + DAY

    await swept.looks()

    assert 1 == len(cluster.stored) == len(records(cluster))
    assert [] == swept.told


async def test_what_a_refused_agent_names_is_kept(
    cluster: FakeCluster, operator: Operator, swept: Swept
) -> None:
    await served(cluster, operator)
    cluster.edit(serving={"runtime": "unknown"})
    cluster.remove("Deployment", cluster.of_kind("Deployment")[0]["metadata"]["name"])
    cluster.time += WEEK + DAY

    await swept.looks()

    assert [SweepReport(kept_count=1)] == swept.told


async def test_what_an_agent_with_a_script_asks_for_is_kept_before_its_status_says_so(
    cluster: FakeCluster, operator: Operator, swept: Swept
) -> None:
    cluster.put(config_map("one"))
    source = {"uri": URIS[0], "sha256": cluster.files[URIS[0]]}
    await served(cluster, operator, act=ACT, model={"source": source})
    del cluster.objects["DLAgent", NAMESPACE, "shoes"]["status"]
    cluster.remove("Deployment", cluster.of_kind("Deployment")[0]["metadata"]["name"])
    cluster.time += WEEK + DAY

    await swept.looks()

    assert [SweepReport(kept_count=1)] == swept.told


async def test_an_apiserver_that_fails_is_tried_at_the_next_look(
    cluster: FakeCluster, operator: Operator, swept: Swept
) -> None:
    await served(cluster, operator)
    cluster.time += DAY

    def fail(_when: str, _number: int) -> None:
        raise ClusterError(500, "down")

    cluster.on_write = fail
    await swept.looks(1)
    cluster.on_write = lambda _when, _number: None
    await swept.looks()

    assert [SweepReport(kept_count=1)] == swept.told


async def test_a_note_of_the_last_sweep_that_somebody_edited_is_no_note(
    cluster: FakeCluster, operator: Operator, swept: Swept
) -> None:
    await served(cluster, operator)
    note = {"started": "2025-01-01T00:00:00"}
    metadata = {"name": SWEEP_NAME, "labels": STORE_LABELS}
    cluster.put({"kind": "ConfigMap", "metadata": metadata, "data": note})
    cluster.time += DAY

    await swept.looks()

    assert [SweepReport(kept_count=1)] == swept.told


async def test_a_namespace_that_cannot_be_looked_at_does_not_hold_up_others(
    cluster: FakeCluster, operator: Operator, swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    await served(cluster, operator)
    other = agent_object()
    other["metadata"]["namespace"] = "a-first"
    cluster.put(other)
    cluster.time += DAY
    get = cluster.get

    def fail(kind: str, namespace: str, name: str) -> Any:
        if namespace == "a-first":
            raise ValueError("nobody thought of this")
        return get(kind, namespace, name)

    monkeypatch.setattr(cluster, "get", fail)
    await swept.looks()

    assert [SweepReport(kept_count=1)] == swept.told


async def test_a_clock_that_was_ahead_for_a_while_does_not_end_sweeps(
    cluster: FakeCluster, operator: Operator, swept: Swept
) -> None:
    await served(cluster, operator)
    cluster.time += 1000 * DAY
    cluster.hold_sweeps = True
    await swept.sweeper.tick()
    cluster.remove("Job", SWEEP_NAME)
    cluster.time -= 999 * DAY
    cluster.hold_sweeps = False

    await swept.looks()

    assert [SweepReport(kept_count=1)] == swept.told


async def test_switched_off_nothing_is_swept(cluster: FakeCluster, operator: Operator) -> None:
    await served(cluster, operator)
    off = SETTINGS.artifacts.sweep.model_copy(update={"enabled": False})
    artifacts = SETTINGS.artifacts.model_copy(update={"sweep": off})
    swept = Swept(cluster, SETTINGS.model_copy(update={"artifacts": artifacts}))
    cluster.time += WEEK + DAY

    await swept.looks()

    assert [] == swept.told


URIS = [f"pvc://models/{name}.onnx" for name in ("shoes", "boots", "socks")]
NAMES = ["first", "second"]


class Lives(RuleBasedStateMachine):
    """Agents come, change and go; builds, sweeps and visits happen in any order, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = FakeCluster()
        self.cluster.files = {uri: letter * 64 for uri, letter in zip(URIS, "abc", strict=True)}
        self.operator = Operator(self.cluster)
        self.swept = Swept(self.cluster)

    def agents(self) -> set[str]:
        return {obj["metadata"]["name"] for obj in self.cluster.of_kind("DLAgent")}

    @rule(
        name=st.sampled_from(NAMES),
        uri=st.sampled_from(URIS),
        pinned=st.booleans(),
        is_served=st.booleans(),
    )
    def asks_for(self, name: str, uri: str, pinned: bool, is_served: bool) -> None:
        source = {"uri": uri} | ({"sha256": self.cluster.files[uri]} if pinned else {})
        if name in self.agents():
            self.cluster.edit(name, model={"source": source})
        else:
            self.cluster.put(agent_object(name, model={"source": source}))
        if is_served:
            self.cluster.hold_builds, self.cluster.hold_sweeps = False, True
            asyncio.run(self.operator.settle())

    @rule(name=st.sampled_from(NAMES))
    def goes(self, name: str) -> None:
        if name in self.agents():
            self.cluster.remove("DLAgent", name)

    @rule(times=st.integers(1, 3))
    def is_visited(self, times: int) -> None:
        for _ in range(times):
            asyncio.run(self.operator.visit_all())
            self.the_cluster_acts(builds=True, sweeps=False)

    @rule(builds=st.booleans(), sweeps=st.booleans())
    def the_cluster_acts(self, builds: bool, sweeps: bool) -> None:
        self.cluster.hold_builds, self.cluster.hold_sweeps = not builds, not sweeps
        self.cluster.step()

    @rule(hours=st.sampled_from([0, 25, 200]), looks=st.integers(1, 2))
    def is_looked_at(self, hours: int, looks: int) -> None:
        self.cluster.time += timedelta(hours=hours)
        for _ in range(looks):
            self.cluster.time += timedelta(seconds=61)
            asyncio.run(self.swept.sweeper.tick())

    @rule()
    def starts_anew(self) -> None:
        self.operator, self.swept = Operator(self.cluster), Swept(self.cluster)

    @invariant()
    def what_is_named_is_there(self) -> None:
        stored = {key[:16] for key in self.cluster.stored}
        for deployment in self.cluster.of_kind("Deployment"):
            assert deployment["metadata"]["labels"][names.ARTIFACT_LABEL] in stored
        for agent in self.cluster.of_kind("DLAgent"):
            artifact = parse_status(agent.get("status")).artifact
            assert artifact is None or artifact.key in self.cluster.stored

    @invariant()
    def no_record_is_false(self) -> None:
        assert records(self.cluster) <= {key[:16] for key in self.cluster.stored}


TestLives = Lives.TestCase
TestLives.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
