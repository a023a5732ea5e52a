"""Reads back what Prometheus remembers of each agent, once: when the operator starts.

The scaler calls `read` at each tick before it decides. A few dozen agents are read within one tick;
of thousands each tick takes some, and the others are decided by their present load meanwhile.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator

from dlagent.domain.scaling.past import Past
from dlagent.domain.scaling.values import NoData
from dlagent.reconcile.ports import Key, MetricsSource

log = logging.getLogger(__name__)

_AT_A_TIME = 8
_ROUND_SECONDS = 3.0  # of a tick, for all of them
_ASKED_AGAIN_SECONDS = 60.0


class Pasts:
    """Of all agents that are scaled."""

    def __init__(self, source: MetricsSource) -> None:
        self._source = source
        self._read: set[Key] = set()
        self._late: set[Key] = set()  # Prometheus took too long to tell of them
        self._failed_at: float | None = None

    def keep(self, keys: Collection[Key]) -> None:
        """Forget all other agents."""
        self._read &= set(keys)
        self._late &= set(keys)

    def forget(self, key: Key) -> None:
        """It is to be read again: what was known of it counts no more."""
        self._read.discard(key)

    async def read(self, keys: Iterable[Key], now: float) -> dict[Key, Past]:
        """The pasts of those of `keys` that were not read yet, as far as time allows."""
        found: dict[Key, Past] = {}
        if self._failed_at is not None and 0 <= now - self._failed_at < _ASKED_AGAIN_SECONDS:
            return found
        unread = [key for key in keys if key not in self._read]
        waiting = iter(sorted(unread, key=self._late.__contains__))
        self._failed_at = None
        try:
            async with asyncio.timeout(_ROUND_SECONDS):
                await asyncio.gather(*(self._work(waiting, found, now) for _ in range(_AT_A_TIME)))
        except TimeoutError:
            log.info("the past of %d agents was read, of others later", len(found))
            if not found:
                self._failed_at = now
        self._read |= found.keys()
        return found

    async def _work(self, waiting: Iterator[Key], found: dict[Key, Past], now: float) -> None:
        for key in waiting:
            self._late.add(key)
            past = await self._source.past(key, now)
            self._late.discard(key)
            if isinstance(past, NoData):
                self._failed_at = now
                return
            found[key] = past
