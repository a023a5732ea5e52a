"""The queue of one replica at one rate, solved. dlagent.domain.scaling.capacity asks it.

One server. When it is free and n requests wait, it starts at once a batch of min(n, max_batch),
which takes exactly tau(batch); nobody joins a batch that runs. That is Triton's dynamic batcher
with one instance and no delay, and in the books a bulk-service queue (Bailey 1954, "On queueing
processes with bulk service") whose times depend on the batch (Neuts 1967, "A general class of bulk
queues with Poisson input"). Inoue (arXiv 1912.06322) has the same tau(b) with batches of any size.

It is solved by its embedded Markov chain: the number that wait when a batch ends. An arriving
request finds the server as it is at any time (PASTA): idle, or in a batch with R seconds to go and
a requests in the queue. It waits R, then floor(a / max_batch) full batches, then its own, which
those who arrive before it starts may enlarge.

Long queues are taken as geometric with the exact ratio, sums over Poisson numbers end where less
than 1e-9 is left, and integrals over R go piece by piece between the points where the answer jumps.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dlagent.domain.scaling.service_time import ServiceTime

Array = NDArray[np.float64]

_PIECES = 16  # of the longest batch, at least, for the integral over R
_GAUSS_NODES = np.array([0.5 - math.sqrt(1 / 12), 0.5 + math.sqrt(1 / 12)])  # of equal weight
_TINY = 1e-300  # in place of 0 in a logarithm


class BatchQueue:
    """The stationary queue of `service` at `rate` inferences/s, above 0 and below saturation."""

    def __init__(self, service: ServiceTime, rate: float) -> None:
        largest = service.max_batch
        self._rate, self._delay = rate, service.held_seconds
        self._times = service.seconds(1) + service.per_item_seconds * np.arange(float(largest))
        waiting, self._ratio = _waiting_at_end(rate * self._times)
        self._idle = float(waiting[0])
        self._left = waiting[largest:]  # behind by full batches; a shorter one leaves nobody
        self._last_left = float(self._left[-1]) if len(self._left) else 0.0
        short = np.zeros(largest)  # the chance of each size, of batches that leave nobody
        short[: len(waiting[1:largest])] = waiting[1:largest]
        short[0] += self._idle
        sizes = short.copy()
        sizes[-1] += self._left.sum() + self._last_left * self._ratio / (1 - self._ratio)
        self._at_least = np.cumsum(sizes[::-1])[::-1]
        self._arrivals = self._idle + rate * float(sizes @ self._times)
        self._padding = _support(rate * self._times[0]) + 2
        self._queues = self._queues_at_steps(short)
        self._queues_up_to = np.cumsum(self._queues, axis=1)

    def share_within(self, seconds: float) -> float:
        """The share of requests that are answered within `seconds`, at least that of a lone one."""
        own = seconds - self._delay
        # Up to `change` before the end of the batch that runs, `ahead` full ones may be in between;
        # before that, one less.
        ahead, change = divmod(max(0.0, own - self._times[0]), self._times[-1])
        busy = self._busy(own, int(ahead), 0.0, change)
        if ahead:
            busy += self._busy(own, int(ahead) - 1, change, self._times[-1])
        idle = self._idle * self._in_time(np.array([own]), np.zeros(1))[0, 0]
        return min(1.0, float(idle + self._rate * busy) / self._arrivals)

    def _queues_at_steps(self, short: Array) -> Array:
        """[i, padding + a]: the chance that a batch has more than i requests and that, tau(i + 1)
        before its end, a wait. From the longest batch down: each step of tau brings newcomers.
        """
        length = len(self._left) + _support(self._rate * self._times[-1]) + len(short)
        beyond = self._ratio ** np.arange(1.0, length - len(self._left) + 1)
        queue = np.concatenate([self._left, self._last_left * beyond])
        step = self._rate * (self._times[-1] - self._times[0]) / max(1, len(short) - 1)
        newcomers = _poisson(np.array([step]), _support(step))[0]
        queues = np.zeros((len(short), self._padding + length))
        for i in reversed(range(len(short))):
            queue[0] += short[i]
            queues[i, self._padding :] = queue
            queue = np.convolve(queue, newcomers)[:length]
        return queues

    def _busy(self, own: float, ahead: int, low: float, high: float) -> float:
        """The chance that a request finds a batch with R to go and is answered in `own` seconds,
        integrated over R from `low` to `high`, where that leaves time for `ahead` full batches.
        """
        largest = len(self._times)
        left = own - ahead * self._times[-1]
        grid = np.linspace(0.0, self._times[-1], _PIECES + 1)
        edges = np.unique(np.clip([*self._times, *(left - self._times), *grid], low, high))
        pieces = np.diff(edges)
        if not len(pieces):
            return 0.0
        to_go = (edges[:-1, None] + pieces[:, None] * _GAUSS_NODES).ravel()
        in_time = self._in_time(left - to_go, own - left + to_go)
        if (ahead + 1) * largest <= self._queues.shape[1] - self._padding:
            chances = self._in_short_queue(ahead * largest, to_go, in_time)
        else:
            chances = self._in_long_queue(ahead * largest, to_go, in_time)
        return float(np.repeat(pieces / 2, 2) @ chances)

    def _in_time(self, allowed: Array, waits: Array) -> Array:
        """[:, p]: the chance that a request with p before it in its own batch is in time.

        Its batch starts after `waits`, may take `allowed`, and grows by who comes until then.
        """
        largest = len(self._times)
        fitting = np.searchsorted(self._times, allowed, side="right")[:, None]
        at_most = np.cumsum(_poisson(self._rate * (waits + self._delay), largest), axis=1)
        room = fitting - 1 - np.arange(largest)
        chances = np.take_along_axis(at_most, np.maximum(room, 0), axis=1)
        return np.where(fitting == largest, 1.0, np.where(room < 0, 0.0, chances))

    def _in_short_queue(self, first: int, to_go: Array, in_time: Array) -> Array:
        """The chance of a batch with `to_go` left and of a request that is in time: fewer than
        `first` are in the queue, or p more, and then by `in_time[:, p]`. For the listed queues.
        """
        steps = np.searchsorted(self._times, to_go)
        chances = np.zeros(len(to_go))
        for step in range(steps[0], steps[-1] + 1):
            rows = slice(*np.searchsorted(steps, [step, step + 1]))
            means = self._rate * (self._times[step] - to_go[rows])
            newcomers = _poisson(means, _support(means.max(initial=0.0)))
            # Who waited when tau(step + 1) was left, by number of newcomers since.
            start = first + self._padding
            since = slice(start, start - newcomers.shape[1], -1)
            own = sliding_window_view(self._queues[step], in_time.shape[1])[since]
            before = self._queues_up_to[step, start - 1 : start - 1 - newcomers.shape[1] : -1]
            chances[rows] = newcomers @ before + np.sum((newcomers @ own) * in_time[rows], axis=1)
        return chances

    def _in_long_queue(self, first: int, to_go: Array, in_time: Array) -> Array:
        """The same where the queue is so long that it is geometric."""
        present = self._at_least[np.searchsorted(self._times, to_go)]
        if not self._last_left:
            return present
        newcomers = self._rate * (self._times[-1] - to_go) * (1 / self._ratio - 1)
        beyond = (first - len(self._left) + 1) * math.log(self._ratio)
        one = self._last_left * np.exp(beyond + newcomers)
        late = 1 / (1 - self._ratio) - in_time @ self._ratio ** np.arange(in_time.shape[1])
        return np.asarray(present - one * late)


def _waiting_at_end(means: Array) -> tuple[Array, float]:
    """The chance that n wait when a batch ends, and the ratio by which it falls above the last n.

    `means[k - 1]` arrive while a batch of k runs. The ratio is 0 where longer queues do not occur.
    """
    largest = len(means)
    reach = _support(means[-1])
    if reach <= largest:
        states, ratio = reach, 0.0
    else:
        states = min(reach, largest + 6 * math.isqrt(largest) + 20)
        ratio = _tail_ratio(means[-1] / largest)
    arriving = _poisson(means, states)
    shorter = np.maximum(np.arange(min(states, largest)) - 1, 0)
    # Rows: from n waiting. A full batch leaves n - largest, to which the arrivals are added.
    full = sliding_window_view(np.append(np.zeros(states), arriving[-1]), states)[states:0:-1]
    change = np.vstack([arriving[shorter], full[: max(0, states - largest)]])
    if ratio:
        change[-1] += ratio ** np.arange(1.0, largest + 1) @ full[states - largest :]
    balance = change.T - np.eye(states)
    balance[-1] = 1.0
    balance[-1, -1] = 1 / (1 - ratio)
    solution = np.linalg.solve(balance, np.eye(states)[-1])
    return np.maximum(solution, 0.0), ratio


def _tail_ratio(load: float) -> float:
    """1/z for the root z > 1 of log z = load (z - 1), load < 1: how fast long queues get rare.

    It solves z^max_batch = exp(rate tau (z - 1)), the characteristic equation of full batches.
    Newton's steps from 1/load^2, which is above the root, fall to it.
    """
    z = load**-2
    for _ in range(60):
        z -= (load * (z - 1) - math.log(z)) / (load - 1 / z)
    return 1 / z


def _poisson(means: Array, size: int) -> Array:
    """[i, n]: the chance of n = 0..size-1 arrivals where means[i] are expected."""
    counts = np.arange(float(size))
    log_factorials = np.cumsum(np.log(np.maximum(counts, 1.0)))
    logs = counts * np.log(np.maximum(means, _TINY))[:, None] - means[:, None] - log_factorials
    return np.asarray(np.exp(logs))


def _support(mean: float) -> int:
    """So many numbers, from 0, hold all but 1e-9 of a Poisson distribution."""
    return math.ceil(mean + 7 * math.sqrt(mean) + 15)
