"""The work queue: N workers that reconcile keys by the rules of `schedule.Schedule`.

handlers add a key for each event, main starts and stops it. Nothing here creates a task but
`start`: kopf cancels all tasks of the loop that are younger than itself when it stops.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, Protocol, TypeVar

from dlagent.runtime.logging import reconcile_context
from dlagent.runtime.schedule import Backoff, Schedule

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)


class Clock(Protocol):
    """Monotonic time, so that tests need not wait."""

    def now(self) -> float: ...

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        """Until the event is set or the seconds have passed; None: for the event only."""
        ...


class LoopClock:
    """The event loop's own time."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return


class QueueObserver(Protocol):
    """What the queue tells the metrics."""

    def started(self, waited_seconds: float) -> None: ...

    def finished(self, duration_seconds: float, result: str) -> None: ...


class WorkQueue(Generic[K]):
    """Runs `reconcile(key)`, never twice at a time for one key.

    `reconcile` returns the seconds after which to come back, or None. An exception, or a run that
    is longer than `timeout_seconds`, is a failure: logged, and tried again after a back-off. An
    exception with an attribute `retry_after` (seconds) is not tried before that.
    """

    def __init__(
        self,
        reconcile: Callable[[K], Awaitable[float | None]],
        observer: QueueObserver,
        *,
        workers: int,
        clock: Clock,
        random: Callable[[], float],
        backoff: Backoff | None = None,
        timeout_seconds: float = 120.0,
    ) -> None:
        self._reconcile = reconcile
        self._observer = observer
        self._workers = workers
        self._clock = clock
        self._random = random
        self._timeout_seconds = timeout_seconds
        self._schedule: Schedule[K] = Schedule(backoff or Backoff())
        self._changed = asyncio.Event()
        self._opened = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, key: K) -> None:
        """Reconcile the key as soon as a worker is free."""
        self._schedule.add(key, self._clock.now())
        self._changed.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Reconcile the key within so many seconds."""
        self._schedule.add_at(key, self._clock.now() + seconds)
        self._changed.set()

    def start(self) -> None:
        """Make the workers, which wait for `open`. Keys may be added before."""
        self._tasks = [
            asyncio.create_task(self._work(), name=f"worker-{number}")
            for number in range(self._workers)
        ]

    def open(self) -> None:
        """Let the workers begin."""
        self._opened.set()

    async def join(self) -> None:
        """Until a worker ends: after `stop`, or by a defect here, whose error this raises."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self, grace_seconds: float) -> None:
        """Begin nothing new, let what runs end, and cancel what has not after the grace."""
        self._stopping = True
        self._opened.set()
        self._changed.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def depth(self) -> int:
        return self._schedule.depth

    @property
    def active(self) -> int:
        return self._schedule.active

    @property
    def failing(self) -> int:
        return self._schedule.failing

    def oldest_seconds(self) -> float:
        return self._schedule.oldest(self._clock.now())

    async def _work(self) -> None:
        await self._opened.wait()
        while not self._stopping:
            popped = self._schedule.pop(self._clock.now())
            if popped is None:
                await self._idle()
                continue
            key, waited = popped
            self._observer.started(waited)
            with reconcile_context(key):
                await self._run(key)
            # A key that was dirty is ready again, or a delayed one is due sooner than others wait.
            self._changed.set()

    async def _idle(self) -> None:
        self._changed.clear()
        due = self._schedule.next_due()
        seconds = None if due is None else max(0.0, due - self._clock.now())
        await self._clock.wait(self._changed, seconds)

    async def _run(self, key: K) -> None:
        began = self._clock.now()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                again_after = await self._reconcile(key)
        except asyncio.CancelledError:
            self._observer.finished(self._clock.now() - began, "cancelled")
            raise
        # The boundary between agents: whatever one agent's run raises must not touch another's.
        except Exception as error:  # noqa: BLE001
            at_least = float(getattr(error, "retry_after", None) or 0.0)
            now = self._clock.now()
            delay = self._schedule.failed(key, now, self._random(), at_least)
            self._observer.finished(now - began, "error")
            _log_failure(error, delay)
        else:
            now = self._clock.now()
            self._schedule.succeeded(key, now, again_after)
            self._observer.finished(now - began, "success")


def _log_failure(error: Exception, delay: float) -> None:
    """A refusal or an outage is one line; a defect of ours shows its stack."""
    expected = hasattr(error, "status") or isinstance(error, TimeoutError)
    log.warning(
        "reconcile failed, next try in %.1f s: %s: %s",
        delay,
        type(error).__name__,
        error,
        exc_info=None if expected else error,
    )
