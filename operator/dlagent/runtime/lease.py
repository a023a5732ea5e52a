"""Leadership: one operator process of several acts, by a Lease of the coordination API.

kubernetes.aio.leaderelection 37.0.2 is not used. Wrapping could bound its calls, but not its loop:
it counts the renew deadline from the start of each attempt and by the wall clock, so that with the
usual 15/10/2 seconds it may believe for longer than the lease lasts that it leads; it writes local
time as UTC, cannot write the empty holder that releases a lease, and does not watch its work.

Rules (those of client-go, but stricter for the leader):
- A follower takes the lease when it has no holder, or when it has not changed for its duration by
  the follower's own monotonic clock. Clocks of different machines are never compared.
- A leader counts from the moment *before* its last request that was confirmed. If nothing was
  confirmed for the renew deadline, which is below the duration, leadership is lost, whatever a
  request that hangs may yet do.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from dlagent.runtime.settings import LeaseSettings

log = logging.getLogger(__name__)

Object = dict[str, Any]


class LeaseLostError(Exception):
    """This process leads no more, or cannot know that it does: it must not write again."""


class LeaseStore(Protocol):
    """One Lease object as JSON. Each method raises any exception where it did not succeed."""

    async def read(self) -> Object | None:
        """None where there is no such Lease."""
        ...

    async def write(self, lease: Object) -> Object:
        """Replace the version named in it, or create where none is; returns what is stored."""
        ...


class LeaderLease:
    """One candidate. `identity` must be unique to the process, not to the pod."""

    def __init__(
        self,
        store: LeaseStore,
        identity: str,
        settings: LeaseSettings,
        now: Callable[[], float],
        utc_now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._identity = identity
        self._settings = settings
        self._now = now
        self._utc_now = utc_now
        self._sleep = sleep
        self._seen: Object | None = None
        self._current = False  # what was seen last is our own write: renew it without reading
        self._seen_at = 0.0
        self._confirmed_at = 0.0

    async def acquire(self) -> None:
        """Until this process holds the lease. Failures are logged and tried again for ever."""
        told: str | None = None
        while True:
            if await self._attempt(self._call_seconds):
                log.info("leading as %s", self._identity)
                return
            holder = _holder(self._seen) if self._seen else None
            if holder != told:
                log.info("standing by, the leader is %s", holder or "unknown")
                told = holder
            await self._sleep(self._settings.retry_period_seconds)

    async def hold(self) -> None:
        """Renew for as long as this process leads.

        Raises:
            LeaseLostError: another holds the lease, or no renewal succeeded within the deadline.
        """
        deadline = self._settings.renew_deadline_seconds
        while True:
            await self._sleep(self._settings.retry_period_seconds)
            left = self._confirmed_at + deadline - self._now()
            if left <= 0:
                raise LeaseLostError(f"no renewal was confirmed for {deadline} s")
            if await self._attempt(min(left, self._call_seconds)):
                continue
            if self._seen is not None and self._held_by_other(self._seen):
                raise LeaseLostError(f"{_holder(self._seen)} leads now")

    async def release(self) -> None:
        """Give the lease up, so that a follower need not wait. Failures are logged only."""
        try:
            async with asyncio.timeout(self._settings.retry_period_seconds):
                lease = await self._store.read()
                if lease is not None and _holder(lease) == self._identity:
                    await self._store.write(_released(lease))
                    log.info("lease released")
        except Exception as error:  # noqa: BLE001  # the process ends; a follower waits it out
            log.warning("lease not released: %s: %s", type(error).__name__, error)

    async def _attempt(self, within_seconds: float) -> bool:
        """Take or renew the lease once; False where that was refused, failed or took too long."""
        began = self._now()
        try:
            async with asyncio.timeout(within_seconds):
                if not self._current:
                    self._observe(await self._store.read())
                    if self._seen is not None and not self._may_take(self._seen):
                        return False
                stored = await self._store.write(self._mine(self._seen))
        # Any failure is one: what cannot be confirmed has not happened, for us.
        except Exception as error:  # noqa: BLE001
            self._current = False
            log.warning("lease not renewed: %s: %s", type(error).__name__, error)
            return False
        self._observe(stored)
        self._current = True
        self._confirmed_at = began
        return True

    @property
    def _call_seconds(self) -> float:
        """One that hangs leaves time for another, on a new connection, before the deadline."""
        return self._settings.renew_deadline_seconds / 2

    def _observe(self, lease: Object | None) -> None:
        if lease != self._seen:
            self._seen = lease
            self._seen_at = self._now()

    def _held_by_other(self, lease: Object) -> bool:
        return _holder(lease) not in ("", self._identity)

    def _may_take(self, lease: Object) -> bool:
        duration = lease["spec"].get("leaseDurationSeconds") or 0
        return not self._held_by_other(lease) or self._now() - self._seen_at >= duration

    def _mine(self, lease: Object | None) -> Object:
        """The Lease to write: `lease` renewed or taken over, None: a new one."""
        time = self._utc_now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        base: Object = lease or {"metadata": {}, "spec": {}}
        spec = {
            **base["spec"],
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._settings.duration_seconds,
            "renewTime": time,
        }
        if lease is None or _holder(lease) != self._identity:
            spec["acquireTime"] = time
            spec["leaseTransitions"] = base["spec"].get("leaseTransitions", -1) + 1
        return {**base, "spec": spec}


def _holder(lease: Object) -> str:
    return str(lease["spec"].get("holderIdentity") or "")


def _released(lease: Object) -> Object:
    return {**lease, "spec": {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}}


async def lead(
    lease: LeaderLease, work: Callable[[], Awaitable[None]], lost: Callable[[LeaseLostError], None]
) -> None:
    """Acquire, then run `work` while the lease is held, then release.

    Both are watched: where the lease is lost, `lost` is called at once, and must end the process
    without another write. Where work ends or raises, the lease is released.
    """
    await lease.acquire()
    holding = asyncio.ensure_future(lease.hold())
    working = asyncio.ensure_future(work())
    try:
        await asyncio.wait((holding, working), return_when=asyncio.FIRST_COMPLETED)
        if holding.done() and not holding.cancelled():
            error = holding.exception()
            if isinstance(error, LeaseLostError):
                lost(error)
            holding.result()
        await working
    finally:
        for task in (holding, working):
            task.cancel()
        await asyncio.gather(holding, working, return_exceptions=True)
        await lease.release()
