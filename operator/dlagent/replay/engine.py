"""Replays requests against one policy: pods, scrapes, decisions, at the times they would happen.

`replay` is what `dlagent replay`, the oracle and the benchmarks call. The same requests and the
same scrapes are there for every policy; only what it asks for differs.
"""

import heapq
import math
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.replay import kernel
from dlagent.replay.faults import Fault, fault_at
from dlagent.replay.fleet import Fleet, books
from dlagent.replay.kernel import Floats, Ints
from dlagent.replay.policy import Manifest, Policy
from dlagent.replay.routing import Routing
from dlagent.replay.scraped import Scraped

_SCRAPE_GROUPS = 5  # pods are scraped at as many moments of an interval
_LEFT_SECONDS = 600.0  # after the end, in which what waits may still be answered


@dataclass(frozen=True)
class Requests:
    """When each arrives, in seconds, rising; those before 0 warm up. `chances` route them."""

    times: Floats
    chances: Floats
    duration_seconds: float

    @property
    def begins(self) -> float:
        """When the warm-up does; a whole number of seconds."""
        return math.floor(min(0.0, float(self.times[0]))) if len(self.times) else 0.0


@dataclass(frozen=True)
class World:
    """What is true in a replay, whatever policies believe (`manifest`).

    Batches take `service`, times a gamma variable of mean 1 and the coefficient of variation
    `variation`, drawn from `seed`. `initial` replicas are ready when the warm-up begins.
    """

    manifest: Manifest
    service: ServiceTime
    pod_start_seconds: float
    routing: Routing
    variation: float = 0.0
    faults: tuple[Fault, ...] = ()
    initial: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """By windows of `window_seconds`: `requests` that arrived, `good` ones of them.

    `latencies` count those that were answered, by fine class (dlagent.replay.kernel); see
    dlagent.replay.scraped.quantiles. `pod_seconds` are from a pod's creation until it is gone,
    within the duration. `plan` has the times at which the number asked for changed, and the number;
    the first is the one at the beginning.
    """

    requests: Ints
    good: Ints
    latencies: Ints
    pod_seconds: float
    plan: tuple[tuple[float, int], ...]
    duration_seconds: float
    window_seconds: float


class _Kind(IntEnum):
    """In the order in which what happens at one moment is handled."""

    READY = 0
    SCRAPE = 1
    TICK = 2


@dataclass(slots=True)
class _Run:
    world: World
    policy: Policy
    requests: Requests
    fleet: Fleet
    scraped: Scraped
    asked: int = 0
    sent: int = 0
    plan: list[tuple[float, int]] = field(default_factory=list)
    events: list[tuple[float, int, int]] = field(default_factory=list)

    def send(self, until: float) -> None:
        """Requests that come before; called whenever what follows depends on them."""
        requests = self.requests
        self.sent = self.fleet.send(requests.times, requests.chances, self.sent, until)

    def start(self, begins: float) -> None:
        """The pods of the beginning, which are ready, and the first events."""
        interval = self.world.manifest.scrape_seconds
        self._become(self._within_bounds(self.world.initial), begins, 0.0)
        for group in range(_SCRAPE_GROUPS):
            first = begins + (group + 1) * interval / _SCRAPE_GROUPS
            heapq.heappush(self.events, (first, _Kind.SCRAPE, group))
        heapq.heappush(self.events, (begins + self.policy.period_seconds, _Kind.TICK, 0))

    def scale(self, replicas: int, now: float) -> None:
        """To as many as the bounds allow."""
        wanted = self._within_bounds(replicas)
        if wanted != self.asked:
            self._become(wanted, now, self.world.pod_start_seconds)

    def _within_bounds(self, replicas: int) -> int:
        manifest = self.world.manifest
        return min(max(replicas, manifest.min_replicas), manifest.max_replicas)

    def _become(self, wanted: int, now: float, start_seconds: float) -> None:
        self.asked = wanted
        self.plan.append((now, wanted))
        more = wanted - len(self.fleet.pods)
        if more < 0:
            self.send(now)
            self.fleet.remove(-more, now)
            return
        ready_at = now + start_seconds
        for _ in range(more):
            self.scraped.forget(self.fleet.create(now, ready_at).slot, self.fleet.slots)
        heapq.heappush(self.events, (ready_at, _Kind.READY, 0))

    def ready(self, now: float) -> None:
        self.send(now)
        self.fleet.refresh(now)

    def scrape(self, now: float, group: int) -> None:
        interval = self.world.manifest.scrape_seconds
        heapq.heappush(self.events, (now + interval, _Kind.SCRAPE, group))
        slots = [
            pod.slot
            for pod in self.fleet.pods
            if pod.number % _SCRAPE_GROUPS == group and pod.ready_at <= now
        ]
        if slots:
            self.send(now)
            fault = fault_at(self.world.faults, now)
            self.scraped.add(slots, now, self.fleet.read(slots, now), fault)

    def tick(self, now: float) -> None:
        heapq.heappush(self.events, (now + self.policy.period_seconds, _Kind.TICK, 0))
        seen = self.scraped.seen(self.fleet.pods, now, self.asked)
        self.scale(self.policy.replicas(seen), now)


def replay(world: World, requests: Requests, policy: Policy) -> Outcome:
    """One policy against one sequence of requests."""
    manifest, duration = world.manifest, requests.duration_seconds
    account = books(manifest.threshold_seconds, duration)
    kernel.seed(world.seed)
    fleet = Fleet(world.service, world.variation, world.routing, account, horizon=duration)
    run = _Run(world, policy, requests, fleet, Scraped(manifest.scrape_seconds))
    _play(run, duration)
    return Outcome(
        requests=account.requests,
        good=account.good,
        latencies=account.latencies,
        pod_seconds=fleet.pod_seconds,
        plan=tuple(run.plan),
        duration_seconds=duration,
        window_seconds=account.window_seconds,
    )


def _play(run: _Run, duration: float) -> None:
    run.start(run.requests.begins)
    while run.events[0][0] < duration:
        now, kind, group = heapq.heappop(run.events)
        if kind == _Kind.READY:
            run.ready(now)
        elif kind == _Kind.SCRAPE:
            run.scrape(now, group)
        else:
            run.tick(now)
    run.send(duration)
    run.fleet.finish(duration, duration + _LEFT_SECONDS)


def requests_at(
    rates: Floats, step_seconds: float, begins: float, generator: np.random.Generator
) -> Requests:
    """Poisson requests at `rates` (requests/s), each for a step, the first from `begins` on."""
    counts = generator.poisson(rates * step_seconds)
    starts = begins + step_seconds * np.repeat(np.arange(len(rates)), counts)
    times = starts + step_seconds * generator.random(len(starts))
    times.sort()
    return Requests(times, generator.random(len(times)), begins + step_seconds * len(rates))
