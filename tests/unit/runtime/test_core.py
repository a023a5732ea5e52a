"""The core with a watch and lists of the test's own: order of start and stop, resync, failures."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dlagent.runtime.core import Core
from dlagent.runtime.listing import Feed
from dlagent.runtime.metrics import Metrics

PODS = Feed("Pod", None)


def pod(name: str, version: int = 1) -> dict[str, Any]:
    metadata = {"namespace": "n", "name": name, "uid": name, "resourceVersion": str(version)}
    return {"kind": "Pod", "metadata": metadata}


class World:
    def __init__(self, resync_seconds: float = 600.0) -> None:
        self.log: list[str] = []
        self.live = [pod("a")]
        self.may_reconcile = asyncio.Event()
        self.may_reconcile.set()
        self.fail_watch = asyncio.Event()
        self.stop = asyncio.Event()
        self.metrics = Metrics()
        self.fail_tick = False
        self.core: Core[str] = Core(
            cache_label="agent",
            feeds=[PODS],
            list_objects=self._list,
            keys_for=lambda kind, obj: [obj["metadata"]["name"]],
            all_keys=lambda: [name for _, name in self.core.cache.keys("Pod")],
            reconcile=self._reconcile,
            workers=1,
            resync_seconds=resync_seconds,
            tick=self._tick,
            tick_seconds=0.001,
            metrics=self.metrics,
        )

    async def _list(
        self, kind: str, namespace: str | None, page: Callable[[list[dict[str, Any]]], None]
    ) -> str:
        self.log.append("list")
        page(self.live)
        return "10"

    async def _tick(self) -> None:
        self.log.append("tick")
        if self.fail_tick:
            raise RuntimeError("the scaler has a defect")

    async def _reconcile(self, key: str) -> float | None:
        self.log.append(f"begin {key}")
        await self.may_reconcile.wait()
        self.log.append(f"end {key}")
        return None

    async def watch(self, stop: asyncio.Event) -> None:
        self.log.append("watch")
        waits = [asyncio.create_task(stop.wait()), asyncio.create_task(self.fail_watch.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        self.log.append("unwatch")
        if self.fail_watch.is_set():
            raise RuntimeError("the stream broke")

    async def until(self, entry: str, times: int = 1) -> None:
        async with asyncio.timeout(5):
            while self.log.count(entry) < times:  # noqa: ASYNC110  # the log is what is tested
                await asyncio.sleep(0)


def run(scenario: Callable[[World], Awaitable[None]], resync_seconds: float = 600.0) -> World:
    async def main() -> World:
        world = World(resync_seconds)
        task = asyncio.create_task(world.core.run(world.watch, world.stop))
        await world.until("watch")
        try:
            await scenario(world)
        finally:
            world.stop.set()
            await task
        return world

    return asyncio.run(main())


def test_events_wait_for_the_first_list() -> None:
    async def scenario(world: World) -> None:
        world.core.saw("Pod", False, pod("a"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert world.log == ["watch"]
        world.core.lister.want(PODS)
        await world.until("end a")

    log = [entry for entry in run(scenario).log if entry != "tick"]
    assert log[:4] == ["watch", "list", "begin a", "end a"]


def test_the_scaler_ticks_once_the_cache_is_complete() -> None:
    async def scenario(world: World) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        assert "tick" not in world.log
        world.core.lister.want(PODS)
        await world.until("tick")

    run(scenario)


def test_a_tick_that_fails_stops_nothing() -> None:
    async def scenario(world: World) -> None:
        world.fail_tick = True
        world.core.lister.want(PODS)
        await world.until("tick", times=3)
        await world.until("end a")

    run(scenario)


def test_the_watch_is_closed_after_what_runs_has_ended() -> None:
    async def scenario(world: World) -> None:
        world.core.lister.want(PODS)
        world.may_reconcile.clear()
        await world.until("begin a")
        world.stop.set()
        for _ in range(20):
            await asyncio.sleep(0)
        world.may_reconcile.set()

    assert run(scenario).log[-2:] == ["end a", "unwatch"]


def test_a_watch_that_breaks_ends_the_core_with_its_error() -> None:
    async def scenario(world: World) -> None:
        world.fail_watch.set()
        await world.until("unwatch")

    with pytest.raises(RuntimeError, match="the stream broke"):
        run(scenario)


def test_a_deletion_is_reconciled_as_well() -> None:
    async def scenario(world: World) -> None:
        world.core.lister.want(PODS)
        await world.until("end a")
        world.core.saw("Pod", True, pod("a", 2))
        await world.until("end a", times=2)
        assert world.core.cache.count("Pod") == 0

    run(scenario)


def test_a_resync_lists_and_visits_all_again() -> None:
    async def scenario(world: World) -> None:
        world.core.lister.want(PODS)
        await world.until("end a", times=3)
        assert world.log.count("list") >= 2

    run(scenario, resync_seconds=0.01)


def test_the_state_of_queue_and_cache_is_in_the_metrics() -> None:
    async def scenario(world: World) -> None:
        world.core.lister.want(PODS)
        await world.until("end a")
        world.core.saw("Pod", False, pod("b"))
        text = world.metrics.render().decode()
        assert "dlagent_queue_depth 1.0" in text
        assert 'dlagent_cache_objects{kind="Pod"} 2.0' in text
        assert 'dlagent_watch_events_total{kind="Pod"} 1.0' in text

    run(scenario)
