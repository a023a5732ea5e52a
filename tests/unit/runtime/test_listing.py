"""Lists beside the watches: when they are made, and that a failure is tried again."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from aiohttp import TraceRequestStartParams
from multidict import CIMultiDict
from yarl import URL

from dlagent.runtime.cache import Cache
from dlagent.runtime.listing import Feed, Lister, WatchTrace

PODS = Feed("Pod", None)
JOBS = Feed("Job", None)


class World:
    def __init__(self, feeds: list[Feed]) -> None:
        self.asked: list[Feed] = []
        self.failures = 0
        self.slept: list[float] = []
        self.ghosts: list[tuple[str, int]] = []
        self.live: list[dict[str, Any]] = []
        self.cache = Cache("agent", lambda kind, obj: None)
        self.lister = Lister(
            self.cache,
            self.list_objects,
            feeds,
            lambda kind, count: self.ghosts.append((kind, count)),
            self.sleep,
        )

    async def list_objects(
        self, kind: str, namespace: str | None, page: Callable[[list[dict[str, Any]]], None]
    ) -> str:
        self.asked.append(Feed(kind, namespace))
        if self.failures:
            self.failures -= 1
            raise ConnectionError("no")
        for obj in self.live:
            page([obj])
        return "100"

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def run(self, *wanted: Feed) -> None:
        async def main() -> None:
            task = asyncio.create_task(self.lister.run())
            for feed in wanted:
                self.lister.want(feed)
            for _ in range(20):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(main())


def test_the_cache_is_complete_when_each_feed_was_listed() -> None:
    world = World([PODS, JOBS])
    assert world.lister.missing() == ["Job", "Pod"]
    world.run(PODS)
    assert world.lister.missing() == ["Job"]
    world.run(JOBS)
    assert world.lister.missing() == []
    asyncio.run(asyncio.wait_for(world.lister.synced(), 1))


def test_a_feed_wanted_several_times_is_listed_once() -> None:
    world = World([PODS])
    world.run(PODS, PODS, PODS)
    assert world.asked == [PODS]


def test_a_list_that_fails_is_made_again_after_a_while() -> None:
    world = World([PODS])
    world.failures = 2
    world.run(PODS)
    assert world.asked == [PODS] * 3
    assert len(world.slept) == 2
    assert world.lister.missing() == []


def test_what_the_list_has_not_is_counted_as_missed() -> None:
    world = World([PODS])
    metadata = {"namespace": "n", "name": "a", "uid": "u", "resourceVersion": "5"}
    world.cache.upsert("Pod", {"metadata": metadata})
    world.run(PODS)
    assert world.ghosts == [("Pod", 1)]
    assert world.cache.count("Pod") == 0


def request(url: str) -> TraceRequestStartParams:
    return TraceRequestStartParams("GET", URL("http://api" + url), CIMultiDict())


def began_after(*urls: str) -> list[Feed]:
    began: list[Feed] = []
    trace = WatchTrace({"/api/v1/pods": PODS, "/apis/batch/v1/jobs": JOBS}, began.append)
    (on_start,) = trace.config().on_request_start

    async def main() -> None:
        for url in urls:
            session: Any = None
            await on_start(session, SimpleNamespace(), request(url))

    asyncio.run(main())
    return began


def test_a_watch_after_a_list_is_told() -> None:
    assert began_after("/api/v1/pods?limit=500", "/api/v1/pods?watch=true") == [PODS]


def test_a_watch_that_is_resumed_is_not_told() -> None:
    urls = ["/api/v1/pods", "/api/v1/pods?watch=true", "/api/v1/pods?watch=true"]
    assert began_after(*urls) == [PODS]


def test_a_list_made_anew_is_told_again() -> None:
    pair = ["/api/v1/pods", "/api/v1/pods?watch=true"]
    assert began_after(*pair, *pair) == [PODS, PODS]


def test_kinds_are_told_apart_and_other_requests_ignored() -> None:
    urls = ["/apis", "/api/v1/pods", "/apis/batch/v1/jobs?watch=true"]
    assert began_after(*urls) == []
