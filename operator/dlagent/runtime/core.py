"""The operator without Kubernetes libraries: events to cache, cache to queue, queue to reconcile.

main gives it the watch (kopf), the lists (kubernetes.aio) and the reconciler. Tasks are all made
before the watch starts: kopf, when it stops, cancels what is younger than itself.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Generic, Protocol, TypeVar

from dlagent.runtime.cache import Cache, Object
from dlagent.runtime.listing import Feed, Lister, ListObjects
from dlagent.runtime.metrics import Metrics
from dlagent.runtime.queue import LoopClock, WorkQueue

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

DRAIN_SECONDS = 10.0
WATCH_STOP_SECONDS = 10.0


class Watch(Protocol):
    async def __call__(self, stop: asyncio.Event) -> None:
        """Bring events to `Core.saw` until `stop`; raises where it cannot go on."""
        ...


class Core(Generic[K]):
    """`keys_for(kind, object)` names what must be reconciled when the object has changed.

    `tick` is called each `tick_seconds` once the cache is complete.
    """

    def __init__(
        self,
        *,
        cache_label: str,
        feeds: list[Feed],
        list_objects: ListObjects,
        keys_for: Callable[[str, Object], Iterable[K]],
        all_keys: Callable[[], Iterable[K]],
        reconcile: Callable[[K], Awaitable[float | None]],
        workers: int,
        resync_seconds: float,
        tick: Callable[[], Awaitable[None]],
        tick_seconds: float,
        metrics: Metrics,
    ) -> None:
        self._keys_for = keys_for
        self._all_keys = all_keys
        self._resync_seconds = resync_seconds
        self._tick = tick
        self._tick_seconds = tick_seconds
        self._metrics = metrics
        self.cache = Cache(cache_label, self._changed)
        self.lister = Lister(self.cache, list_objects, feeds, metrics.ghosts)
        self._queue: WorkQueue[K] = WorkQueue(
            reconcile,
            metrics,
            workers=workers,
            clock=LoopClock(),
            random=random.random,
        )
        self._observe({feed.kind for feed in feeds})

    def saw(self, kind: str, gone: bool, obj: Object) -> None:
        """An event of a watch."""
        self._metrics.watched(kind)
        if gone:
            self.cache.delete(kind, obj)
        else:
            self.cache.upsert(kind, obj)

    async def run(self, watch: Watch, stop: asyncio.Event) -> None:
        """Until `stop`, or until a part fails, which is raised.

        Nothing is reconciled before the cache is complete. On stop, reconciles that run may end
        while the cache is still fed; then the watch is closed.
        """
        watch_stop = asyncio.Event()
        self._queue.start()
        tasks = [
            asyncio.create_task(self.lister.run(), name="lister"),
            asyncio.create_task(self._when_synced(), name="resync"),
            asyncio.create_task(self._ticking(), name="scaling"),
            asyncio.create_task(self._queue.join(), name="queue"),
            asyncio.create_task(stop.wait(), name="stop"),
        ]
        watching = asyncio.create_task(watch(watch_stop), name="watch")
        tasks.append(watching)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._queue.stop(DRAIN_SECONDS)
            watch_stop.set()
            await asyncio.wait((watching,), timeout=WATCH_STOP_SECONDS)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    def wake(self, key: K) -> None:
        """Have an agent reconciled soon."""
        self._queue.add(key)

    async def _ticking(self) -> None:
        """`tick` at a steady pace, for ever; one that took too long is not made up for."""
        await self.lister.synced()
        clock = asyncio.get_running_loop()
        while True:
            began = clock.time()
            try:
                await self._tick()
            # Nothing that is measured may stop the operator: what it does not need goes on.
            except Exception:
                log.exception("a tick of the scaler failed")
            took = clock.time() - began
            self._metrics.ticked(took)
            await asyncio.sleep(max(0.0, self._tick_seconds - took))

    async def _when_synced(self) -> None:
        await self.lister.synced()
        log.info("the cache is complete, reconciling %d agents", len(list(self._all_keys())))
        self._queue.open()
        while True:
            await asyncio.sleep(self._resync_seconds)
            self.lister.want_all()
            for key in self._all_keys():
                # Spread over the period, so that a resync is no load that anybody notices.
                self._queue.add_after(key, random.random() * self._resync_seconds)  # noqa: S311

    def _changed(self, kind: str, obj: Object) -> None:
        for key in self._keys_for(kind, obj):
            self._queue.add(key)

    def _observe(self, kinds: set[str]) -> None:
        observe = self._metrics.observe
        observe("dlagent_queue_depth", "Agents that wait for a worker.", lambda: self._queue.depth)
        observe(
            "dlagent_queue_oldest_seconds",
            "Time that the agent at the head of the queue has waited.",
            self._queue.oldest_seconds,
        )
        observe("dlagent_reconcile_active", "Reconciles that run now.", lambda: self._queue.active)
        observe(
            "dlagent_agents_failing",
            "Agents whose last reconcile failed.",
            lambda: self._queue.failing,
        )
        self._metrics.observe_by_kind(
            "dlagent_cache_objects",
            "Objects in the cache.",
            lambda: {kind: float(self.cache.count(kind)) for kind in kinds},
        )
