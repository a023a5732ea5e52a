"""The simulator's inner loop: requests into pods, pods' queues into batches. Compiled by numba.

A pod takes what waits as one batch of at most `max_batch` as soon as one of its instances is free,
and nobody joins a batch that runs: Triton's dynamic batcher without a delay, the queue that
dlagent.domain.scaling.batch_queue solves. Between two arrivals pods do not touch each other, so
each is brought up to date only when something is sent to it or asked of it. Times are seconds.

dlagent.replay.fleet calls it. There is nothing here but arrays and loops: numba takes no more.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., object])
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RANDOM, TWO_CHOICES, CONNECTIONS = 0, 1, 2
NOBODY = -1  # a connection that is to no pod
NO_PLACE = -1
# Latency classes: class c ends at FIRST_EDGE_SECONDS exp(c / classes per e), the last one has the
# rest. Pods count coarsely, since each scrape copies their counts; the books finely.
FIRST_EDGE_SECONDS = 1e-5
CLASSES_PER_E, FINE_IN_CLASS = 16, 4
LATENCY_CLASSES = 368  # up to 25 hours
FINE_CLASSES = FINE_IN_CLASS * (LATENCY_CLASSES - 1) + 1  # up to the same


class Service(NamedTuple):
    """tau(b) = base + per_item b in each instance, times a gamma variable of mean 1 and that cv."""

    base: float
    per_item: float
    max_batch: int
    variation: float


class Waiting(NamedTuple):
    """Places for requests that wait, which all pods share: each pod's queue is a chain of them."""

    times: Floats  # [place]: when the request arrived
    follows: Ints  # [place]: the next one of the same queue, or the next free one
    free: Ints  # [0]: the first free place, or NO_PLACE


class Pods(NamedTuple):
    """By slot: the queue, what runs in each instance, and counters."""

    queue: Waiting
    oldest: Ints  # a place in the queue, where any waits; `newest` too
    newest: Ints
    waiting: Ints
    free_at: Floats  # [slot, instance]: when its batch ends; -inf: it has had none
    running: Ints  # [slot, instance]: the batch's size; 0 once it is in the books
    seconds: Floats  # [slot, instance]: how long it takes
    batch: Ints  # [slot, instance, place]: the fine latency classes of its requests
    answered: Ints
    busy: Floats  # instance-seconds of batches that ended
    latencies: Ints  # [slot, class]: of what was answered


class Books(NamedTuple):
    """What came of the requests, by when they arrived."""

    threshold: float
    origin: float  # of the first window; who came before counts in none
    window_seconds: float
    requests: Ints  # [window]
    good: Ints
    latencies: Ints  # [fine class], of all that were answered
    unrouted: Ints  # [0]: no pod was ready


class Route(NamedTuple):
    """Where requests may go: `ready` holds slots, the first `many[0]` of them."""

    kind: int
    ready: Ints
    many: Ints
    connections: Ints  # slots, by connection


def compiled(function: F) -> F:
    """Machine code, kept in a cache beside the source or in the user's cache folder."""
    return cast(F, numba.njit(cache=True)(function))


@compiled
def seed(number: int) -> None:
    """Begin the service times' random numbers anew; there is one sequence in a process."""
    np.random.seed(number)


@compiled
def fine_class(seconds: float) -> int:
    """The fine class of a latency, from 0."""
    if seconds <= FIRST_EDGE_SECONDS:
        return 0
    per_e = CLASSES_PER_E * FINE_IN_CLASS
    found = math.ceil(per_e * math.log(seconds / FIRST_EDGE_SECONDS) - 1e-9)
    return min(found, FINE_CLASSES - 1)


@compiled
def _end(pods: Pods, slot: int, instance: int) -> None:
    size = pods.running[slot, instance]
    pods.answered[slot] += size
    pods.busy[slot] += pods.seconds[slot, instance]
    for place in range(size):
        fine = pods.batch[slot, instance, place]
        pods.latencies[slot, (fine + FINE_IN_CLASS - 1) // FINE_IN_CLASS] += 1
    pods.running[slot, instance] = 0


@compiled
def _put(pods: Pods, slot: int, at: float) -> None:
    """At the end of a pod's queue; a place must be free."""
    queue = pods.queue
    place = queue.free[0]
    queue.free[0] = queue.follows[place]
    queue.times[place] = at
    if pods.waiting[slot] == 0:
        pods.oldest[slot] = place
    else:
        queue.follows[pods.newest[slot]] = place
    pods.newest[slot] = place
    pods.waiting[slot] += 1


@compiled
def _take(pods: Pods, slot: int) -> float:
    """When the oldest that waits arrived; it waits no more."""
    queue, place = pods.queue, pods.oldest[slot]
    pods.oldest[slot] = queue.follows[place]
    pods.waiting[slot] -= 1
    queue.follows[place] = queue.free[0]
    queue.free[0] = place
    return float(queue.times[place])


@compiled
def _start(pods: Pods, service: Service, books: Books, slot: int, instance: int) -> None:
    """A batch of what waits when the instance is free; its requests go into the books at once."""
    queue, place = pods.queue, pods.oldest[slot]
    at = max(pods.free_at[slot, instance], queue.times[place])
    size = 0
    while size < service.max_batch and size < pods.waiting[slot]:
        if queue.times[place] > at:
            break
        place = queue.follows[place]
        size += 1
    seconds = service.base + service.per_item * size
    if service.variation > 0:
        shape = 1 / service.variation**2
        seconds *= np.random.gamma(shape) / shape
    ends = at + seconds
    for number in range(size):
        arrived = _take(pods, slot)
        latency = ends - arrived
        fine = fine_class(latency)
        pods.batch[slot, instance, number] = fine
        window = math.floor((arrived - books.origin) / books.window_seconds)
        if 0 <= window < len(books.good):
            books.latencies[fine] += 1
            if latency <= books.threshold * (1 + 1e-9):
                books.good[window] += 1
    pods.free_at[slot, instance] = ends
    pods.seconds[slot, instance] = seconds
    pods.running[slot, instance] = size


@compiled
def advance(pods: Pods, service: Service, books: Books, slot: int, until: float) -> None:
    """Bring a pod up to a time: batches that end by then, and those that begin by then."""
    instances = pods.free_at.shape[1]
    while True:
        first = 0
        for instance in range(1, instances):
            if pods.free_at[slot, instance] < pods.free_at[slot, first]:
                first = instance
        if pods.free_at[slot, first] > until:
            return
        if pods.running[slot, first] > 0:
            _end(pods, slot, first)
        if pods.waiting[slot] == 0:
            break
        _start(pods, service, books, slot, first)
    for instance in range(instances):
        if pods.running[slot, instance] > 0 and pods.free_at[slot, instance] <= until:
            _end(pods, slot, instance)


@compiled
def in_flight(pods: Pods, slot: int) -> int:
    """Requests in a pod, as of when it was brought up to date."""
    total = pods.waiting[slot]
    for instance in range(pods.running.shape[1]):
        total += pods.running[slot, instance]
    return int(total)


@compiled
def _slot(
    route: Route, pods: Pods, service: Service, books: Books, at: float, chance: float
) -> int:
    count = route.many[0]
    if route.kind == CONNECTIONS:
        return int(route.connections[int(chance * len(route.connections))])
    if count == 0:
        return NOBODY
    first = int(chance * count)
    if route.kind == RANDOM or count == 1:
        return int(route.ready[first])
    second = int((chance * count - first) * (count - 1))
    if second >= first:
        second += 1
    one, other = route.ready[first], route.ready[second]
    advance(pods, service, books, one, at)
    advance(pods, service, books, other, at)
    return int(one if in_flight(pods, one) <= in_flight(pods, other) else other)


@compiled
def send(
    pods: Pods,
    service: Service,
    books: Books,
    route: Route,
    times: Floats,
    chances: Floats,
    first: int,
    until: float,
) -> int:
    """Send the requests from number `first` that come before `until`; the number of the next one.

    It stops early where no place is left for one that waits: make more and call again.
    """
    number = first
    while number < len(times) and times[number] < until:
        at = times[number]
        slot = _slot(route, pods, service, books, at, chances[number])
        if slot != NOBODY:
            advance(pods, service, books, slot, at)
            if pods.queue.free[0] == NO_PLACE:
                return number
        window = math.floor((at - books.origin) / books.window_seconds)
        if 0 <= window < len(books.requests):
            books.requests[window] += 1
        if slot == NOBODY:
            books.unrouted[0] += 1
        else:
            _put(pods, slot, at)
        number += 1
    return number


@compiled
def read(
    pods: Pods,
    service: Service,
    books: Books,
    slots: Ints,
    at: float,
    answered: Ints,
    pending: Ints,
    running: Ints,
    busy: Floats,
    latencies: Ints,
) -> None:
    """What a scrape of these pods finds, into arrays with a row for each of them."""
    for row in range(len(slots)):
        slot = slots[row]
        advance(pods, service, books, slot, at)
        answered[row] = pods.answered[slot]
        pending[row] = pods.waiting[slot]
        busy[row] = pods.busy[slot]
        running[row] = 0
        for instance in range(pods.running.shape[1]):
            if pods.running[slot, instance] > 0:
                running[row] += pods.running[slot, instance]
                busy[row] += at - (pods.free_at[slot, instance] - pods.seconds[slot, instance])
        latencies[row] = pods.latencies[slot]
