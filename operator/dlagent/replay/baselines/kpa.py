"""Knative's Pod Autoscaler (KPA) on concurrency.

Pages: https://knative.dev/docs/serving/autoscaling/kpa-specific/, .../concurrency/ and
.../scale-bounds/, of Knative Serving 1.x. Code: pkg/autoscaler/scaling/autoscaler.go at 00a4a55c,
and pkg/autoscaler/aggregation/bucketing.go. Every default is theirs.
`dlagent.replay.policies` makes it.

Knative asks each pod every second what it handles on average. Here it sees what all policies see,
the newest scrape, every two seconds; a ready pod without a sample is taken to be idle, since one
that has just come has none for a scrape interval.
"""

import math
from collections import deque

import numpy as np

from dlagent.replay.policy import Manifest, Seen

TICK_SECONDS = 2.0
_STABLE_SECONDS = 60.0  # stable-window
_PANIC_SECONDS = 6.0  # panic-window-percentage: 10
_PANIC_THRESHOLD = 2.0  # panic-threshold-percentage: 200
_MAX_SCALE_UP_RATE = 1000.0
_MAX_SCALE_DOWN_RATE = 2.0
_DIGITS = 1e6  # an average is cut to six digits, lest a rounding error cost a pod


class Buckets:
    """Values by time and their average over a window: `TimedFloat64Buckets`.

    A silence at the window's end, or before the first value, shortens the window; one in its middle
    counts as zero. After a whole window of silence it begins anew.
    """

    def __init__(self, window_seconds: float) -> None:
        self._window_seconds = window_seconds
        self._values: deque[tuple[float, float]] = deque()
        self._first = 0.0

    def record(self, now: float, value: float) -> None:
        """One value a tick."""
        if self._silent(now):
            self._first = now
        self._values.append((now, value))

    def average(self, now: float) -> float | None:
        """None where the whole window is silent."""
        if self._silent(now):
            return None
        while self._values[0][0] <= now - self._window_seconds:
            self._values.popleft()
        last = self._values[-1][0]
        spanned = min(last - self._first + TICK_SECONDS, self._window_seconds - (now - last))
        average = sum(value for _, value in self._values) * TICK_SECONDS / spanned
        return math.floor(average * _DIGITS) / _DIGITS

    def _silent(self, now: float) -> bool:
        return not self._values or now - self._values[-1][0] >= self._window_seconds


class Decider:
    """What follows from the two averages: `autoscaler.Scale`."""

    def __init__(self, target: float, delay_seconds: float) -> None:
        """`target` requests at a time in each pod; scale-down-delay in seconds, 0 for none."""
        self._target = target
        self._delay_seconds = delay_seconds
        self._panic_since: float | None = None
        self._most_in_panic = 0
        self._wanted: deque[tuple[float, int]] = deque()

    def restarted(self, now: float, ready: int) -> None:
        """With more than one pod it starts in panic mode, which never scales down."""
        if ready > 1:
            self._panic_since, self._most_in_panic = now, ready

    def pods(self, now: float, ready: int, stable: float, panic: float) -> int:
        """How many pods there are to be, given the concurrency over either window."""
        existing = max(1, ready)
        in_panic = math.ceil(panic / self._target)
        self._enter_or_leave_panic(now, in_panic / existing >= _PANIC_THRESHOLD)
        wanted = self._rated(math.ceil(stable / self._target), existing)
        if self._panic_since is not None:
            wanted = max(wanted, self._rated(in_panic, existing), self._most_in_panic)
            self._most_in_panic = wanted
        return self._delayed(now, wanted)

    def _enter_or_leave_panic(self, now: float, over: bool) -> None:
        if over:
            self._panic_since = now
        elif self._panic_since is not None and self._panic_since + _STABLE_SECONDS < now:
            self._panic_since, self._most_in_panic = None, 0

    def _rated(self, wanted: int, existing: int) -> int:
        most = math.ceil(_MAX_SCALE_UP_RATE * existing)
        least = math.floor(existing / _MAX_SCALE_DOWN_RATE)
        return min(max(wanted, least), most)

    def _delayed(self, now: float, wanted: int) -> int:
        """The most that was wanted within the delay."""
        if not self._delay_seconds:
            return wanted
        while self._wanted and self._wanted[0][0] <= now - self._delay_seconds:
            self._wanted.popleft()
        while self._wanted and self._wanted[-1][1] <= wanted:
            self._wanted.pop()
        self._wanted.append((now, wanted))
        return self._wanted[0][1]


class Kpa:
    """The policy: the two windows, filled at each tick, and the decision."""

    period_seconds = TICK_SECONDS

    def __init__(self, name: str, target: float, delay_seconds: float) -> None:
        self.name = name
        self._stable = Buckets(_STABLE_SECONDS)
        self._panic = Buckets(_PANIC_SECONDS)
        self._decider = Decider(target, delay_seconds)
        self._started = False

    def replicas(self, seen: Seen) -> int:
        """As many as before while there is nothing in the stable window."""
        ready = int(np.count_nonzero(seen.ready))
        if not self._started:
            self._started = True
            self._decider.restarted(seen.now, ready)
        known = seen.concurrency[~np.isnan(seen.concurrency)]
        if known.size:
            total = float(known.sum())
            self._stable.record(seen.now, total)
            self._panic.record(seen.now, total)
        stable = self._stable.average(seen.now)
        if stable is None:
            return seen.replicas
        panic = self._panic.average(seen.now)
        return self._decider.pods(seen.now, ready, stable, 0.0 if panic is None else panic)


def kpa(name: str, _: Manifest, target: float, delay_seconds: float) -> Kpa:
    """`target` is the concurrency that it aims at, after target-utilization-percentage."""
    return Kpa(name, target, delay_seconds)
