"""The writer on a real apiserver: who owns which field, and what a write does not do."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dlagent.adapters.api import Api, ConflictError, InvalidError, MissingError, connect
from dlagent.adapters.cluster import Cluster
from dlagent.adapters.kinds import AGENT, BY_KIND, EVENT, KindInfo

Object = dict[str, Any]
DEPLOYMENT = BY_KIND["Deployment"]


@dataclass
class Room:
    """A namespace, a writer, and a clock that moves when told to."""

    api: Api
    namespace: str
    requests: list[tuple[str, str]] = field(default_factory=list)
    written: list[Object] = field(default_factory=list)
    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.cluster = self.restarted()

    def restarted(self) -> Cluster:
        """A writer that remembers nothing."""
        return Cluster(self.api, lambda kind, obj: self.written.append(obj), lambda: self.time)

    async def read(self, info: KindInfo, name: str) -> Object:
        return await self.api.json("get", info, info.path(self.namespace, name))

    def named(self, info: KindInfo, name: str, **rest: Any) -> Object:
        metadata = {"namespace": self.namespace, "name": name}
        return {"apiVersion": info.api_version, "kind": info.kind, "metadata": metadata, **rest}

    def deployment(self, name: str, image: str = "a:1") -> Object:
        labels = {"app": name}
        pod = {"containers": [{"name": "c", "image": image}]}
        template = {"metadata": {"labels": labels}, "spec": pod}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        return self.named(DEPLOYMENT, name, spec=spec)

    def scaling(self, live: Object, replicas: int) -> Object:
        partial = self.named(DEPLOYMENT, live["metadata"]["name"], spec={"replicas": replicas})
        partial["metadata"] |= {
            "uid": live["metadata"]["uid"],
            "annotations": {"dlagent.io/why": f"to {replicas}"},
        }
        return partial

    async def agent(self, name: str) -> Object:
        spec = {
            "model": {"source": {"uri": "pvc://models/a.onnx"}},
            "slo": {"latency": {"thresholdMilliseconds": 50}},
        }
        return await self.cluster.apply(self.named(AGENT, name, spec=spec))

    async def events(self) -> list[Object]:
        """Events of the tests: an operator of the cluster may say something about agents too."""
        found: list[Object] = []
        await self.api.list(EVENT, self.namespace, found.extend)
        return [event for event in found if event["reason"] in ("TestFailed", "TestOther")]


@contextlib.asynccontextmanager
async def entered(kubeconfig: Path) -> AsyncIterator[Room]:
    requests: list[tuple[str, str]] = []
    client = await connect(kubeconfig)
    api = Api(client, lambda verb, kind, status: requests.append((verb, kind)))
    room = Room(api, f"writes-{uuid.uuid4().hex[:8]}", requests)
    pods = BY_KIND["Pod"]
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": room.namespace}}
    await api.request("create", pods, "/api/v1/namespaces", body=body)
    try:
        yield room
    finally:
        await api.request("delete", pods, f"/api/v1/namespaces/{room.namespace}")
        await api.close()


def run(kubeconfig: Path, scenario: Callable[[Room], Awaitable[None]]) -> None:
    async def main() -> None:
        async with entered(kubeconfig) as room:
            await scenario(room)

    asyncio.run(main())


def managers(obj: Object, field_name: str) -> set[str]:
    """Who owns a field of the spec."""
    return {
        entry["manager"]
        for entry in obj["metadata"]["managedFields"]
        if f"f:{field_name}" in entry["fieldsV1"].get("f:spec", {})
    }


def test_an_equal_apply_writes_nothing(kubeconfig: Path) -> None:
    async def scenario(room: Room) -> None:
        # No controller writes to a ConfigMap, as one does to a Deployment's status.
        wanted = room.named(BY_KIND["ConfigMap"], "d", data={"a": "1"})
        first = await room.cluster.apply(wanted)
        second = await room.cluster.apply(wanted)
        assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
        assert [obj["metadata"]["name"] for obj in room.written] == ["d", "d"]

    run(kubeconfig, scenario)


def test_replicas_belong_to_the_scaler_and_survive_an_apply(kubeconfig: Path) -> None:
    async def scenario(room: Room) -> None:
        live = await room.cluster.apply(room.deployment("d"))
        scaled = await room.cluster.scale(room.scaling(live, 3))
        assert scaled["spec"]["replicas"] == 3
        changed = await room.cluster.apply(room.deployment("d", image="a:2"))
        assert changed["spec"]["replicas"] == 3
        assert managers(changed, "replicas") == {"dlagent-scaler"}
        assert managers(changed, "template") == {"dlagent-operator"}

    run(kubeconfig, scenario)


def test_a_deployment_that_has_its_size_is_read_and_not_written(kubeconfig: Path) -> None:
    async def scenario(room: Room) -> None:
        live = await room.cluster.apply(room.deployment("d"))
        await room.cluster.scale(room.scaling(live, 3))
        room.requests.clear()
        await room.cluster.scale(room.scaling(live, 3))
        assert room.requests == [("get", "Deployment")]

    run(kubeconfig, scenario)


def test_scaling_touches_no_other_deployment_of_that_name(kubeconfig: Path) -> None:
    async def scenario(room: Room) -> None:
        live = await room.cluster.apply(room.deployment("d"))
        other = {**live, "metadata": {**live["metadata"], "uid": str(uuid.uuid4())}}
        with pytest.raises(ConflictError):
            await room.cluster.scale(room.scaling(other, 5))
        assert (await room.read(DEPLOYMENT, "d"))["spec"]["replicas"] == 1
        missing = {**live, "metadata": {**live["metadata"], "name": "none"}}
        with pytest.raises(MissingError):
            await room.cluster.scale(room.scaling(missing, 5))

    run(kubeconfig, scenario)


def test_a_status_decided_on_an_older_version_is_refused(kubeconfig: Path) -> None:
    async def scenario(room: Room) -> None:
        await room.agent("a")
        status = room.named(AGENT, "a", status={"observedGeneration": 1})
        while True:  # an operator of the cluster may write the status meanwhile
            version = (await room.read(AGENT, "a"))["metadata"]["resourceVersion"]
            status["metadata"]["resourceVersion"] = version
            with contextlib.suppress(ConflictError):
                stored = await room.cluster.apply_status(status)
                break
        assert stored["status"]["observedGeneration"] == 1
        with pytest.raises(ConflictError):
            await room.cluster.apply_status({**status, "status": {"observedGeneration": 0}})

    run(kubeconfig, scenario)


def test_what_can_never_be_accepted_is_told_apart(kubeconfig: Path) -> None:
    async def scenario(room: Room) -> None:
        broken = room.deployment("d")
        broken["spec"]["template"]["spec"]["containers"] = []
        with pytest.raises(InvalidError, match="containers"):
            await room.cluster.apply(broken)

    run(kubeconfig, scenario)


def test_a_deletion_takes_the_object_it_means_and_no_other(kubeconfig: Path) -> None:
    async def scenario(room: Room) -> None:
        live = await room.cluster.apply(room.deployment("d"))
        where = ("Deployment", room.namespace, "d")
        await room.cluster.delete(*where, str(uuid.uuid4()))
        assert await room.read(DEPLOYMENT, "d")
        await room.cluster.delete(*where, live["metadata"]["uid"])
        with pytest.raises(MissingError):
            await room.read(DEPLOYMENT, "d")
        await room.cluster.delete(*where, live["metadata"]["uid"])

    run(kubeconfig, scenario)


def test_an_event_that_repeats_is_counted_up_also_by_the_next_process(kubeconfig: Path) -> None:
    async def scenario(room: Room) -> None:
        agent = await room.agent("a")

        async def emit(cluster: Cluster, reason: str) -> None:
            await cluster.emit(agent, "Warning", reason, "the store is full")

        for _ in range(3):
            await emit(room.cluster, "TestFailed")
        (event,) = await room.events()
        assert (event["count"], event["type"], event["reason"]) == (1, "Warning", "TestFailed")
        assert event["involvedObject"]["uid"] == agent["metadata"]["uid"]

        room.time += timedelta(minutes=2)
        await emit(room.cluster, "TestFailed")
        assert [event["count"] for event in await room.events()] == [4]

        await emit(room.restarted(), "TestFailed")
        assert [event["count"] for event in await room.events()] == [5]

        await emit(room.cluster, "TestOther")
        assert len(await room.events()) == 2

    run(kubeconfig, scenario)


def test_a_log_that_cannot_be_read_is_none(kubeconfig: Path) -> None:
    async def scenario(room: Room) -> None:
        assert [] == await room.cluster.last_lines(room.namespace, "no-such-pod", "build")

    run(kubeconfig, scenario)


def test_a_list_is_complete_over_pages(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(room: Room) -> None:
        monkeypatch.setattr("dlagent.adapters.api.PAGE", 2)
        labels = {"app.kubernetes.io/managed-by": "dlagent-operator"}
        for number in range(5):
            obj = room.named(BY_KIND["ConfigMap"], f"c{number}")
            obj["metadata"]["labels"] = labels
            await room.cluster.apply(obj)
        room.requests.clear()
        objects: list[Object] = []
        version = await room.api.list(BY_KIND["ConfigMap"], room.namespace, objects.extend)
        assert sorted(obj["metadata"]["name"] for obj in objects) == [f"c{n}" for n in range(5)]
        assert {obj["kind"] for obj in objects} == {"ConfigMap"}
        assert int(version) > 0
        assert room.requests == [("list", "ConfigMap")] * 3

    run(kubeconfig, scenario)
