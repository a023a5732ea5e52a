"""The pods of a replay: created, ready after their start, serving, drained, gone.

dlagent.replay.engine drives it: `send` requests up to a time, then change or read what is there.
Times are seconds since the replay began; the warm-up lies before 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.replay import kernel
from dlagent.replay.kernel import Books, Floats, Ints, Pods, Route, Service, Waiting
from dlagent.replay.routing import Routing

_PLACES = 4096  # for requests that wait, at first
WINDOW_SECONDS = 10.0  # of the books
_SLOTS = 16  # at first


@dataclass(slots=True)
class Pod:
    """`number` counts them from 0, for ever; `slot` is its row in the arrays while it is there."""

    number: int
    slot: int
    created: float
    ready_at: float
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"pod-{self.number}"


@dataclass(slots=True)
class Reading:
    """What a scrape of some pods found, a row for each: all counters but `pending`, `running`."""

    answered: Ints
    pending: Ints
    running: Ints
    busy: Floats
    latencies: Ints


@dataclass(slots=True)
class Fleet:
    """`pods` are those that are there and not being removed, the oldest first."""

    service: ServiceTime
    variation: float
    routing: Routing
    books: Books
    pods: list[Pod] = field(default_factory=list)
    pod_seconds: float = 0.0  # of pods that are gone, within [0, horizon]
    horizon: float = math.inf
    _free: list[int] = field(default_factory=list)
    _made: int = 0
    _speed: Service = field(init=False)
    _random: np.random.Generator = field(init=False)
    _arrays: Pods = field(init=False)
    _route: Route = field(init=False)

    def __post_init__(self) -> None:
        service = self.service
        if service.held_seconds > 0:
            raise ValueError(
                f"the replay knows no batch delay, and the service has {service.held_seconds:g} s:"
                " give a service without one"
            )
        self._speed = Service(
            service.base_seconds, service.per_item_seconds, service.max_batch, self.variation
        )
        self._random = np.random.default_rng(self.routing.seed)
        self._arrays = _arrays(_SLOTS, service.instances, service.max_batch, _places(_PLACES))
        self._free = list(range(_SLOTS))
        self._route = self._new_route()

    @property
    def slots(self) -> int:
        """How many rows the arrays have; they only become more."""
        return len(self._arrays.waiting)

    def create(self, now: float, ready_at: float) -> Pod:
        """A pod that gets requests once `refresh` is called at or after `ready_at`."""
        if not self._free:
            self._grow_slots()
        slot = self._free.pop()
        self._clear(slot, now)
        pod = Pod(self._made, slot, now, ready_at)
        self._made += 1
        self.pods.append(pod)
        return pod

    def remove(self, count: int, now: float) -> list[Pod]:
        """As a ReplicaSet chooses: those that are not ready first, then the youngest.

        What they have is answered; until then they cost.
        """
        order = sorted(self.pods, key=lambda pod: (pod.ready_at <= now, -pod.created))
        chosen = order[:count]
        for pod in chosen:
            self.pods.remove(pod)
            kernel.advance(self._arrays, self._speed, self.books, pod.slot, math.inf)
            ends = float(self._arrays.free_at[pod.slot].max())
            self._charge(pod, max(now, ends))
            self._free.append(pod.slot)
        self.refresh(now)
        return chosen

    def refresh(self, now: float) -> None:
        """Send to the pods that are ready now, and to no other."""
        slots = [pod.slot for pod in self.pods if pod.ready_at <= now]
        self._route.ready[: len(slots)] = slots
        self._route.many[0] = len(slots)
        self.routing.connect(self._route.connections, slots, self._random)

    def send(self, times: Floats, chances: Floats, first: int, until: float) -> int:
        """Requests from number `first` that come before `until`; the number of the next."""
        while True:
            number = kernel.send(
                self._arrays,
                self._speed,
                self.books,
                self._route,
                times,
                chances,
                first,
                until,
            )
            if number == len(times) or times[number] >= until:
                return number
            first = number
            self._arrays = self._arrays._replace(queue=_with_more(self._arrays.queue))

    def read(self, slots: Sequence[int], at: float) -> Reading:
        """The counters of these pods at a time, which must not be before what was sent."""
        count = len(slots)
        found = Reading(
            answered=np.zeros(count, np.int64),
            pending=np.zeros(count, np.int64),
            running=np.zeros(count, np.int64),
            busy=np.zeros(count),
            latencies=np.zeros((count, kernel.LATENCY_CLASSES), np.int64),
        )
        kernel.read(
            self._arrays,
            self._speed,
            self.books,
            np.array(slots, np.int64),
            at,
            found.answered,
            found.pending,
            found.running,
            found.busy,
            found.latencies,
        )
        return found

    def finish(self, now: float, drained: float) -> None:
        """The end: what is there is charged to `now`, and what waits may be answered until then."""
        for pod in self.pods:
            kernel.advance(self._arrays, self._speed, self.books, pod.slot, drained)
            self._charge(pod, now)

    def _charge(self, pod: Pod, until: float) -> None:
        self.pod_seconds += max(0.0, min(until, self.horizon) - max(0.0, pod.created))

    def _new_route(self) -> Route:
        connections = np.full(self.routing.connections, kernel.NOBODY, np.int64)
        return Route(
            self.routing.kind, np.zeros(self.slots, np.int64), np.zeros(1, np.int64), connections
        )

    def _grow_slots(self) -> None:
        before, old = self.slots, self._arrays
        more = _arrays(before, self.service.instances, self.service.max_batch, old.queue)
        by_slot = zip(old[1:], more[1:], strict=True)
        self._arrays = Pods(old.queue, *(np.concatenate(pair) for pair in by_slot))
        self._free = list(range(before, 2 * before))
        route = self._route
        ready = np.concatenate([route.ready, np.zeros(before, np.int64)])
        self._route = route._replace(ready=ready)

    def _clear(self, slot: int, now: float) -> None:
        arrays = self._arrays
        for counter in (arrays.waiting, arrays.answered, arrays.busy):
            counter[slot] = 0
        arrays.running[slot] = 0
        arrays.free_at[slot] = now
        arrays.latencies[slot] = 0


def _arrays(slots: int, instances: int, max_batch: int, queue: Waiting) -> Pods:
    return Pods(
        queue=queue,
        oldest=np.full(slots, kernel.NO_PLACE, np.int64),
        newest=np.full(slots, kernel.NO_PLACE, np.int64),
        waiting=np.zeros(slots, np.int64),
        free_at=np.full((slots, instances), -math.inf),
        running=np.zeros((slots, instances), np.int64),
        seconds=np.zeros((slots, instances)),
        batch=np.zeros((slots, instances, max_batch), np.int64),
        answered=np.zeros(slots, np.int64),
        busy=np.zeros(slots),
        latencies=np.zeros((slots, kernel.LATENCY_CLASSES), np.int64),
    )


def _places(count: int, first: int = 0) -> Waiting:
    """So many free ones, numbered from `first`."""
    follows = np.arange(first + 1, first + count + 1)
    follows[-1] = kernel.NO_PLACE
    return Waiting(np.zeros(count), follows, np.array([first]))


def _with_more(full: Waiting) -> Waiting:
    """Twice as many, where none is free."""
    count = len(full.times)
    more = _places(count, count)
    times, follows = (np.concatenate(pair) for pair in zip(full[:2], more[:2], strict=True))
    return Waiting(times, follows, more.free)


def books(threshold_seconds: float, duration_seconds: float) -> Books:
    """Empty ones, of the requests that arrive from 0 until the end."""
    windows = math.ceil(duration_seconds / WINDOW_SECONDS)
    return Books(
        threshold=threshold_seconds,
        origin=0.0,
        window_seconds=WINDOW_SECONDS,
        requests=np.zeros(windows, np.int64),
        good=np.zeros(windows, np.int64),
        latencies=np.zeros(kernel.FINE_CLASSES, np.int64),
        unrouted=np.zeros(1, np.int64),
    )
