"""Complete lists into the cache, beside the watches: what makes a watch trustworthy.

kopf tells neither when its first list is over nor that it had to list again, and reports nothing of
what was deleted while it was away. So `WatchTrace` looks at the requests of kopf's session: each
time a watch begins after a list, `Lister` makes a list of its own. The watch reports all that
happens after kopf's list, ours is younger, so together nothing is missed; what the cache has and
our list has not is gone. The resync asks for the same lists once more.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple, Protocol

import aiohttp

from dlagent.runtime.cache import Cache, Objects

log = logging.getLogger(__name__)

_RETRY_SECONDS = 2.0


class Feed(NamedTuple):
    """One stream of events: a kind in a namespace, or in all (None)."""

    kind: str
    namespace: str | None


class ListObjects(Protocol):
    async def __call__(
        self, kind: str, namespace: str | None, page: Callable[[Objects], None]
    ) -> str:
        """Hands all objects to `page`, some at a time; the list's resourceVersion.

        Raises any exception where it failed.
        """
        ...


class Lister:
    """Lists feeds, one after the other, when asked. `ghosts(kind, count)` hears what was missed."""

    def __init__(
        self,
        cache: Cache,
        list_objects: ListObjects,
        feeds: list[Feed],
        ghosts: Callable[[str, int], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._cache = cache
        self._list_objects = list_objects
        self._feeds = feeds
        self._ghosts = ghosts
        self._sleep = sleep
        self._wanted: dict[Feed, None] = {}  # an ordered set
        self._changed = asyncio.Event()
        self._missing = set(feeds)
        self._synced = asyncio.Event()

    def want(self, feed: Feed) -> None:
        """List the feed soon; asked several times before it happens, once."""
        self._wanted[feed] = None
        self._changed.set()

    def want_all(self) -> None:
        for feed in self._feeds:
            self.want(feed)

    def missing(self) -> list[str]:
        """Kinds that have not been listed yet since their watch began."""
        return sorted({feed.kind for feed in self._missing})

    async def synced(self) -> None:
        """Until each feed has been listed once: the cache is complete from then on."""
        await self._synced.wait()

    async def run(self) -> None:
        """List what is wanted, for ever."""
        while True:
            self._changed.clear()
            while self._wanted:
                feed = next(iter(self._wanted))
                del self._wanted[feed]
                if not await self._list(feed):
                    self.want(feed)
                    await self._sleep(_RETRY_SECONDS)
            await self._changed.wait()

    async def _list(self, feed: Feed) -> bool:
        snapshot = self._cache.begin_list(*feed)
        version: str | None = None
        try:
            version = await self._list_objects(*feed, partial(self._cache.add_page, snapshot))
        # Whatever is wrong with one kind, the others and the watches go on; it is asked again.
        except Exception as error:  # noqa: BLE001
            log.warning("listing %s failed: %s: %s", feed.kind, type(error).__name__, error)
            return False
        finally:
            ghosts = self._cache.end_list(snapshot, version)
        if ghosts:
            self._ghosts(feed.kind, ghosts)
            log.info("%d %s were deleted unseen", ghosts, feed.kind)
        self._missing.discard(feed)
        if not self._missing:
            self._synced.set()
        return True


class WatchTrace:
    """Sees from kopf's requests when a watch begins after a list, and calls `began(feed)`."""

    def __init__(self, paths: dict[str, Feed], began: Callable[[Feed], None]) -> None:
        self._paths = paths
        self._began = began
        self._listed: set[Feed] = set()

    def config(self) -> aiohttp.TraceConfig:
        """For a new session; the state is shared by all sessions."""
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._on_request)
        return trace

    async def _on_request(
        self,
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        request: aiohttp.TraceRequestStartParams,
    ) -> None:
        feed = self._paths.get(request.url.path)
        if feed is None:
            return
        if request.url.query.get("watch") != "true":
            self._listed.add(feed)
        elif feed in self._listed:
            self._listed.discard(feed)
            self._began(feed)
