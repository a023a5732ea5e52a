"""What Prometheus has of the pods in a replay, and what follows from it for policies.

The engine adds scrapes; `seen` makes of them what a policy may look at. Rows are the fleet's slots,
columns a ring of the newest scrapes.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from dlagent.domain.scaling.samples import STALE_INTERVALS, WINDOW_INTERVALS, PodSamples
from dlagent.replay import kernel
from dlagent.replay.faults import FaultKind
from dlagent.replay.fleet import Pod, Reading
from dlagent.replay.kernel import Floats, Ints
from dlagent.replay.policy import Seen
from dlagent.replay.windows import Scrapes, Window, fill, within

_RATE_WINDOW_SECONDS = 60.0
_SUMMARY_SECONDS = 60.0  # Triton's quantiles are of the last minute
_SUMMARY_SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)  # those that it is asked for
_SHARES = np.array(_SUMMARY_SHARES)
_P99 = np.array([0.99])
_SERIES = WINDOW_INTERVALS + 2  # samples in the window, and one to spare
_NONE = -1

Series = deque[tuple[float, float]]  # of times and values
Summary = tuple[tuple[float, float], ...]  # of shares and latencies in seconds


class Scraped:
    """The scrapes of one replay. `interval` is the time between two of a pod, in seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._window = max(_RATE_WINDOW_SECONDS, 2 * interval)
        self._kept = math.ceil(self._window / interval) + 3
        self._scrapes = self._empty(0)
        # By slot, as all that follows. A pod counts on while its scrapes are lost, and its summary
        # is of what it counted: so it is read at each scrape that is due, into column `_newest`.
        self._read_at = np.zeros((0, self._kept))
        self._newest = np.zeros(0, np.int64)
        self._answered: list[Series] = []
        self._pending: list[Series] = []
        self._scraped_at: list[float] = []
        self._scraped: list[int] = []  # the column of that scrape; _NONE where it was NaN

    def forget(self, slot: int, slots: int) -> None:
        """A slot has a new pod; there are as many slots as said."""
        if slots > len(self._newest):
            self._grow(slots - len(self._newest))
        self._scrapes.times[slot] = np.nan
        self._read_at[slot] = np.nan
        self._newest[slot] = -1
        self._answered[slot].clear()
        self._pending[slot].clear()
        self._scraped_at[slot] = -math.inf

    def add(
        self, slots: Sequence[int], now: float, found: Reading, fault: FaultKind | None = None
    ) -> None:
        """A scrape of some pods that is due; with a fault it is lost, or all its values are NaN."""
        rows = np.array(slots, np.int64)
        columns = (self._newest[rows] + 1) % self._kept
        bad = math.nan if fault is FaultKind.NAN else 0.0
        scrapes = self._scrapes
        self._newest[rows] = columns
        self._read_at[rows, columns] = now
        scrapes.latencies[rows, columns] = found.latencies
        scrapes.times[rows, columns] = math.nan if fault is FaultKind.GAP else now
        scrapes.answered[rows, columns] = found.answered + bad
        scrapes.in_flight[rows, columns] = found.pending + found.running + bad
        scrapes.busy[rows, columns] = found.busy + bad
        if fault is FaultKind.GAP:
            return
        answered, pending = (found.answered + bad).tolist(), (found.pending + bad).tolist()
        for row, slot in enumerate(slots):
            self._answered[slot].append((now, answered[row]))
            self._pending[slot].append((now, pending[row]))
            self._scraped_at[slot] = now
            self._scraped[slot] = _NONE if fault is FaultKind.NAN else int(columns[row])

    def seen(self, pods: Sequence[Pod], now: float, replicas: int) -> Seen:
        """As of now; `replicas` are asked for."""
        count = len(pods)
        window = Window(
            requests_per_second=np.full(count, np.nan),
            busy_share=np.full(count, np.nan),
            concurrency=np.full(count, np.nan),
            latencies=np.zeros(kernel.LATENCY_CLASSES, np.int64),
        )
        slots = np.array([pod.slot for pod in pods], np.int64)
        fill(window, self._scrapes, slots, now - self._window)
        ready_at = np.array([pod.ready_at for pod in pods])
        return Seen(
            now=now,
            replicas=replicas,
            pods=tuple(pod.name for pod in pods),
            ready=ready_at <= now,
            since_created_seconds=now - np.array([pod.created for pod in pods]),
            since_ready_seconds=np.where(ready_at <= now, now - ready_at, np.nan),
            requests_per_second=window.requests_per_second,
            busy_share=window.busy_share,
            concurrency=window.concurrency,
            p99_seconds=float(quantiles(window.latencies, _P99)[0]),
            samples=lambda: self._samples(pods, now),
        )

    def _samples(self, pods: Sequence[Pod], now: float) -> Mapping[str, PodSamples]:
        oldest = now - WINDOW_INTERVALS * self._interval
        stale = now - STALE_INTERVALS * self._interval
        found = {}
        for pod in pods:
            answered, pending = self._answered[pod.slot], self._pending[pod.slot]
            while answered and answered[0][0] < oldest:
                answered.popleft()
                pending.popleft()
            if not answered:
                continue
            successes = tuple(answered)
            found[pod.name] = PodSamples(
                successes=successes,
                failures=tuple((at, 0.0) for at, _ in successes),
                pending=tuple(pending),
                inferences=successes,
                quantiles=self._summary(pod.slot) if self._scraped_at[pod.slot] >= stale else (),
            )
        return found

    def _summary(self, slot: int) -> Summary:
        """Triton's quantiles, as its newest scrape has them; none where it answered nothing."""
        scraped, read_at = self._scraped[slot], self._read_at[slot]
        if scraped == _NONE:
            return ()
        counts = self._scrapes.latencies[slot, scraped]
        before = read_at <= read_at[scraped] - _SUMMARY_SECONDS
        if before.any():
            counts = (
                counts
                - self._scrapes.latencies[slot, np.where(before, read_at, -math.inf).argmax()]
            )
        if not counts.any():
            return ()
        return tuple(zip(_SUMMARY_SHARES, quantiles(counts, _SHARES).tolist(), strict=True))

    def _grow(self, more: int) -> None:
        pairs = zip(self._scrapes, self._empty(more), strict=True)
        self._scrapes = Scrapes(*(np.concatenate(pair) for pair in pairs))
        self._read_at = np.concatenate([self._read_at, np.full((more, self._kept), np.nan)])
        self._newest = np.concatenate([self._newest, np.full(more, -1, np.int64)])
        self._answered += [deque(maxlen=_SERIES) for _ in range(more)]
        self._pending += [deque(maxlen=_SERIES) for _ in range(more)]
        self._scraped_at += [-math.inf] * more
        self._scraped += [_NONE] * more

    def _empty(self, slots: int) -> Scrapes:
        times, answered, in_flight, busy = (np.full((slots, self._kept), np.nan) for _ in range(4))
        latencies = np.zeros((slots, self._kept, kernel.LATENCY_CLASSES), np.int64)
        return Scrapes(times, answered, in_flight, busy, latencies)


@lru_cache
def _edges(classes: int) -> Floats:
    """The ends of so many latency classes over the kernel's range, in seconds."""
    per_e = kernel.CLASSES_PER_E * ((classes - 1) / (kernel.LATENCY_CLASSES - 1))
    return kernel.FIRST_EDGE_SECONDS * np.exp(np.arange(classes) / per_e)


def quantiles(counts: Ints, shares: Floats) -> Floats:
    """The latencies within which those rising shares of the counted ones are, in seconds.

    `counts` are by the kernel's coarse classes or by its fine ones. NaN where nothing is counted.
    Linear within a class, as Prometheus' histogram_quantile is.
    """
    found = np.empty(len(shares))
    within(counts, _edges(len(counts)), shares, found)
    return found
