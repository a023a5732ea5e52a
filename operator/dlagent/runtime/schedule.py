"""Which key is reconciled next: the rules of the work queue, without clock, tasks or randomness.

`queue.WorkQueue` runs it. A key is in at most one of these states: ready (waits for a worker),
active (one worker has it) or delayed (comes back at a time). An event while a key is active marks
it dirty, so that it runs once more afterwards: no event is lost, and many become one run.

A key that failed comes back after a delay that doubles with each failure in a row. An event brings
it forward, but to no sooner than the first delay after its failure, so that a key whose own writes
cause the events cannot spin.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Backoff:
    """Delays after failures in a row, in seconds: base, 2 base, 4 base ... up to cap."""

    base: float = 0.5
    cap: float = 300.0

    def delay(self, failures: int, random: float) -> float:
        """Seconds to wait after the given number of failures; `random` in [0, 1) is the jitter.

        Always within [half, all] of the nominal delay, so that keys which failed together part.
        """
        doublings = min(failures - 1, 60)  # beyond any cap, and no overflow
        return float(min(self.cap, self.base * 2.0**doublings) * (0.5 + random / 2))


@dataclass
class _Failing:
    """A key that failed, until it succeeds."""

    failures: int
    not_before: float


@dataclass
class Schedule(Generic[K]):
    backoff: Backoff = field(default_factory=Backoff)
    _ready: deque[K] = field(default_factory=deque)
    _since: dict[K, float] = field(default_factory=dict)  # ready keys, and since when
    _active: set[K] = field(default_factory=set)
    _dirty: set[K] = field(default_factory=set)
    _due: dict[K, float] = field(default_factory=dict)  # delayed keys, and until when
    _heap: list[tuple[float, int, K]] = field(default_factory=list)  # of _due; may hold stale ones
    _order: "itertools.count[int]" = field(default_factory=itertools.count)
    _failing: dict[K, _Failing] = field(default_factory=dict)

    def add(self, key: K, now: float) -> None:
        """Something about the key has changed."""
        if key in self._active:
            self._dirty.add(key)
            return
        if key in self._since:
            return
        failing = self._failing.get(key)
        if failing is not None and failing.not_before > now:
            self.add_at(key, failing.not_before)
            return
        self._due.pop(key, None)
        self._make_ready(key, now)

    def add_at(self, key: K, due: float) -> None:
        """Run the key at `due`, or sooner where it is to run sooner anyway."""
        if key in self._since:
            return
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            heapq.heappush(self._heap, (due, next(self._order), key))

    def pop(self, now: float) -> tuple[K, float] | None:
        """The key to run now and how many seconds it waited, or None. `done` must follow."""
        self._wake(now)
        if not self._ready:
            return None
        key = self._ready.popleft()
        waited = now - self._since.pop(key)
        self._active.add(key)
        return key, waited

    def succeeded(self, key: K, now: float, again_after: float | None) -> None:
        """The run is over; come back after so many seconds, None: on events only."""
        self._failing.pop(key, None)
        self._active.remove(key)
        if key in self._dirty:
            self._dirty.remove(key)
            self._due.pop(key, None)
            self._make_ready(key, now)
        elif again_after is not None:
            self.add_at(key, now + again_after)

    def failed(self, key: K, now: float, random: float, at_least: float = 0.0) -> float:
        """The run failed; returns the seconds until the next, `at_least` those asked for."""
        failures = self._failing[key].failures + 1 if key in self._failing else 1
        first = max(at_least, self.backoff.delay(1, random))
        self._failing[key] = _Failing(failures, now + first)
        self._active.remove(key)
        delay = max(at_least, self.backoff.delay(failures, random))
        if key in self._dirty:
            self._dirty.remove(key)
            delay = first
        self._due.pop(key, None)
        self.add_at(key, now + delay)
        return delay

    def next_due(self) -> float | None:
        """When the next delayed key is due; None where there is none."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    @property
    def depth(self) -> int:
        """Keys that wait for a worker."""
        return len(self._ready)

    @property
    def active(self) -> int:
        return len(self._active)

    @property
    def failing(self) -> int:
        """Keys whose last run failed."""
        return len(self._failing)

    def oldest(self, now: float) -> float:
        """Seconds that the key at the head has waited; 0 where none waits."""
        return now - self._since[self._ready[0]] if self._ready else 0.0

    def _make_ready(self, key: K, now: float) -> None:
        self._ready.append(key)
        self._since[key] = now

    def _wake(self, now: float) -> None:
        while (due := self.next_due()) is not None and due <= now:
            key = heapq.heappop(self._heap)[2]
            del self._due[key]
            if key in self._active:
                self._dirty.add(key)
            else:
                self._make_ready(key, due)
