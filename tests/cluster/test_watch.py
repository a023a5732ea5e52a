"""The watches on a real apiserver, through a proxy that records each request and can spoil it."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from dlagent import handlers
from dlagent.adapters.api import Api, connect
from dlagent.adapters.kinds import AGENT, BY_KIND, WATCHED
from dlagent.api.names import MANAGED_BY, MANAGED_BY_LABEL, NAME_LABEL
from dlagent.runtime.core import Core
from dlagent.runtime.listing import Feed, WatchTrace
from dlagent.runtime.metrics import Metrics

Key = tuple[str, str]
CONFIG_MAP = BY_KIND["ConfigMap"]
GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}


@dataclass
class Recorded:
    method: str
    path: str
    query: dict[str, str]


@dataclass
class Proxy:
    """Plain HTTP in front of the apiserver. A spoiler may answer a request in its place."""

    target: str
    ssl: Any
    headers: dict[str, str]
    seen: list[Recorded] = field(default_factory=list)
    spoil: Callable[[Recorded], Awaitable[web.StreamResponse | None]] | None = None
    streams: set["asyncio.Task[Any]"] = field(default_factory=set)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        recorded = Recorded(request.method, request.path, dict(request.query))
        self.seen.append(recorded)
        if self.spoil is not None:
            spoilt = await self.spoil(recorded)
            if spoilt is not None:
                return spoilt
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.ssl)) as session:
            headers = {"Accept": "application/json", **self.headers}
            sent = await request.read()
            if sent:
                headers["Content-Type"] = request.headers["Content-Type"]
            async with session.request(
                request.method,
                self.target + request.path_qs,
                data=sent or None,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=None),
            ) as answer:
                response = web.StreamResponse(status=answer.status)
                response.content_type = answer.content_type
                response.force_close()  # kopf waits for idle connections when it stops
                await response.prepare(request)
                task = asyncio.current_task()
                assert task is not None
                self.streams.add(task)
                try:
                    async for chunk in answer.content.iter_any():
                        await response.write(chunk)
                finally:
                    self.streams.discard(task)
                return response

    def cut(self) -> None:
        """End all streams that are open."""
        for task in list(self.streams):
            task.cancel()

    def of(self, path: str) -> list[Recorded]:
        return [recorded for recorded in self.seen if recorded.path == path]


@contextlib.asynccontextmanager
async def proxied(kubeconfig: Path) -> AsyncIterator[tuple[Proxy, Api, Api]]:
    """The proxy, a client through it and one past it."""
    direct = await connect(kubeconfig)
    through = await connect(kubeconfig)
    headers: dict[str, str] = {}
    await direct.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
    proxy = Proxy(direct.configuration.host, direct.rest_client.ssl_context, headers)
    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    through.configuration.host = proxy.url
    clients = [Api(client, lambda verb, kind, status: None) for client in (through, direct)]
    try:
        yield proxy, clients[0], clients[1]
    finally:
        for client in clients:
            await client.close()
        await runner.cleanup()


class Operator:
    """Core and kopf as main wires them, with a reconciler that only notes what it was asked."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.reconciled: list[Key] = []
        self.metrics = Metrics()
        feeds = [Feed(info.kind, namespace) for info in WATCHED]
        self.core: Core[Key] = Core(
            cache_label=NAME_LABEL,
            feeds=feeds,
            list_objects=lambda kind, where, page: api.list(BY_KIND[kind], where, page),
            keys_for=lambda kind, obj: [(kind, obj["metadata"]["name"])],
            all_keys=list,
            reconcile=self._reconcile,
            workers=2,
            resync_seconds=600,
            tick=self._tick,
            tick_seconds=600,
            metrics=self.metrics,
        )
        self.trace = WatchTrace(
            {BY_KIND[feed.kind].path(namespace): feed for feed in feeds}, self.core.lister.want
        )
        self.stop = asyncio.Event()

    async def _tick(self) -> None:
        """No scaler here."""

    async def _reconcile(self, key: Key) -> float | None:
        self.reconciled.append(key)
        return None

    async def _login(self) -> tuple[str, aiohttp.ClientSession]:
        return self.api.host, await self.api.session(self.trace.config())

    async def _watch(self, stop: asyncio.Event) -> None:
        started = asyncio.Event()
        await handlers.watch(self.core.saw, self._login, [self.namespace], started, stop)

    async def run(self) -> None:
        await self.core.run(self._watch, self.stop)

    def knows(self, name: str) -> bool:
        return self.core.cache.get("ConfigMap", self.namespace, name) is not None


@dataclass
class Room:
    proxy: Proxy
    operator: Operator
    direct: Api
    namespace: str
    running: "asyncio.Task[None]"

    async def create(self, name: str, managed: bool = True) -> None:
        labels = {MANAGED_BY_LABEL: MANAGED_BY} if managed else {}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        body["metadata"]["labels"] = labels  # type: ignore[index]  # a str|dict mapping
        await self.direct.json("create", CONFIG_MAP, CONFIG_MAP.path(self.namespace), body=body)

    async def delete(self, name: str) -> None:
        await self.direct.request("delete", CONFIG_MAP, CONFIG_MAP.path(self.namespace, name))


@contextlib.asynccontextmanager
async def running(
    kubeconfig: Path,
    before: Callable[[Proxy, Api, str], Awaitable[None]] | None = None,
    synced: bool = True,
) -> AsyncIterator[Room]:
    """An operator on a namespace of its own, started after `before`."""
    namespace = f"watch-{uuid.uuid4().hex[:8]}"
    async with proxied(kubeconfig) as (proxy, through, direct):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await direct.request("create", CONFIG_MAP, "/api/v1/namespaces", body=body)
        if before is not None:
            await before(proxy, direct, namespace)
        operator = Operator(through, namespace)
        task = asyncio.create_task(operator.run())
        try:
            if synced:
                await asyncio.wait_for(operator.core.lister.synced(), 60)
            yield Room(proxy, operator, direct, namespace, task)
        finally:
            operator.stop.set()
            await asyncio.wait((task,), timeout=25)
            assert task.done(), "the operator did not stop"
            await direct.request("delete", CONFIG_MAP, f"/api/v1/namespaces/{namespace}")
        task.result()


async def until(condition: Callable[[], object], what: str, within: float = 30) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110  # the condition is another process's state
            await asyncio.sleep(0.02)
    assert condition(), what


def is_watched(proxy: Proxy, path: str) -> bool:
    return any(recorded.query.get("watch") == "true" for recorded in proxy.of(path))


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def wrapped() -> None:
        await main()

    asyncio.run(wrapped())


def test_only_our_own_objects_are_asked_for_and_nothing_else(kubeconfig: Path) -> None:
    async def main() -> None:
        async with running(kubeconfig) as room:
            for info in WATCHED:
                path = info.path(room.namespace)
                await until(partial(is_watched, room.proxy, path), f"{info.kind} is watched")
                asked = room.proxy.of(path)
                assert any("watch" not in recorded.query for recorded in asked)
                for recorded in asked:
                    expected = None if info is AGENT else f"{MANAGED_BY_LABEL}={MANAGED_BY}"
                    assert recorded.query.get("labelSelector") == expected, recorded
            assert {recorded.method for recorded in room.proxy.seen} == {"GET"}
            collections = {info.path(room.namespace) for info in WATCHED}
            others = {r.path for r in room.proxy.seen if r.path not in collections}
            assert not [path for path in others if "namespaces" in path], "discovery only"
            assert not [r for r in room.proxy.seen if r.path in others and "watch" in r.query]

    run(main)


def test_what_comes_changes_and_goes_is_seen_and_what_is_not_ours_is_not(
    kubeconfig: Path,
) -> None:
    async def main() -> None:
        async with running(kubeconfig) as room:
            await room.create("foreign", managed=False)
            await room.create("ours")
            await until(lambda: room.operator.knows("ours"), "created")
            await until(lambda: ("ConfigMap", "ours") in room.operator.reconciled, "reconciled")
            await room.delete("ours")
            await until(lambda: not room.operator.knows("ours"), "deleted")
            await until(lambda: room.operator.reconciled.count(("ConfigMap", "ours")) == 2, "again")
            assert not room.operator.knows("foreign")

    run(main)


def test_a_deletion_that_the_watch_missed_is_found(kubeconfig: Path) -> None:
    """The watch is cut, the object goes, and the watch may not resume (410): kopf lists again."""

    async def main() -> None:
        async with running(kubeconfig) as room:
            await room.create("stays")
            await room.create("ghost")
            await until(lambda: room.operator.knows("ghost"), "created")
            collection = CONFIG_MAP.path(room.namespace)
            away = asyncio.Event()
            spoilt = 0

            async def spoil(recorded: Recorded) -> web.StreamResponse | None:
                nonlocal spoilt
                watches = recorded.path == collection and recorded.query.get("watch") == "true"
                if not watches or spoilt:
                    return None
                spoilt += 1
                await away.wait()
                return web.Response(text=json.dumps(GONE) + "\n", content_type="application/json")

            room.proxy.spoil = spoil
            room.proxy.cut()
            await until(lambda: spoilt == 1, "the watch begins anew")
            await room.delete("ghost")
            assert room.operator.knows("ghost")
            away.set()
            await until(lambda: not room.operator.knows("ghost"), "pruned")
            assert room.operator.knows("stays")
            assert b'dlagent_cache_ghosts_total{kind="ConfigMap"} 1.0' in (
                room.operator.metrics.render()
            )

    run(main)


def test_nothing_is_reconciled_before_all_kinds_are_listed(kubeconfig: Path) -> None:
    async def main() -> None:
        held = asyncio.Event()

        async def hold_pods(proxy: Proxy, direct: Api, namespace: str) -> None:
            labels = {MANAGED_BY_LABEL: MANAGED_BY}
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "early", "labels": labels},
            }
            await direct.json("create", CONFIG_MAP, CONFIG_MAP.path(namespace), body=body)

            async def spoil(recorded: Recorded) -> web.StreamResponse | None:
                if recorded.path == BY_KIND["Pod"].path(namespace):
                    await held.wait()
                return None

            proxy.spoil = spoil

        async with running(kubeconfig, before=hold_pods, synced=False) as room:
            await until(lambda: room.operator.knows("early"), "in the cache")
            missing = room.operator.core.lister.missing
            await until(lambda: missing() == ["Pod"], "all but the kind held are listed")
            await asyncio.sleep(0.2)
            assert room.operator.reconciled == []
            held.set()
            await until(lambda: room.operator.reconciled, "reconciled")

    run(main)


@pytest.mark.parametrize("status", [500, 503, 403])
def test_an_apiserver_that_refuses_for_a_while_is_waited_for(kubeconfig: Path, status: int) -> None:
    async def main() -> None:
        async with running(kubeconfig) as room:
            refused = 0

            async def spoil(recorded: Recorded) -> web.StreamResponse | None:
                nonlocal refused
                refused += 1
                return web.json_response({"kind": "Status", "code": status}, status=status)

            room.proxy.spoil = spoil
            room.proxy.cut()
            await until(lambda: refused >= len(WATCHED), "all watches were refused")
            await room.create("meanwhile")
            room.proxy.spoil = None
            await until(lambda: room.operator.knows("meanwhile"), "seen at last")
            assert not room.running.done()

    run(main)
