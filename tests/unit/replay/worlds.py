"""Worlds, requests and fleets that the tests of the simulator share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dlagent.domain.scaling.samples import PodSamples
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.replay import kernel
from dlagent.replay.engine import Requests, World
from dlagent.replay.fleet import Fleet, books
from dlagent.replay.kernel import Floats
from dlagent.replay.policy import Seen
from dlagent.replay.routing import parse_routing
from tests.unit.replay.seen import MANIFEST

SIMULATED = MANIFEST.service
WARM_UP_SECONDS = 600.0


def world(
    *,
    service: ServiceTime = SIMULATED,
    pod_start: float = 60.0,
    routing: str = "random",
    variation: float = 0.0,
    initial: int = 1,
    seed: int = 0,
) -> World:
    return World(
        MANIFEST,
        service,
        pod_start,
        parse_routing(routing, seed),
        variation=variation,
        initial=initial,
        seed=seed,
    )


def requests(*times: float, seconds: float = 600.0) -> Requests:
    """At these times; each goes to the first of the pods that are ready."""
    return Requests(np.array(times), np.zeros(len(times)), seconds)


def poisson(rate: float, seconds: float, seed: int, warm_up: float = 0.0) -> Requests:
    """At random, from `warm_up` before 0 until the end."""
    generator = np.random.default_rng(seed)
    count = generator.poisson(rate * (warm_up + seconds))
    times = np.sort(generator.uniform(-warm_up, seconds, count))
    return Requests(times, generator.random(count), seconds)


def fleet(
    *,
    pods: int = 1,
    service: ServiceTime = SIMULATED,
    routing: str = "random",
    variation: float = 0.0,
    threshold: float = 0.5,
    seconds: float = 600.0,
    begins: float = 0.0,
) -> Fleet:
    """Pods that are ready when it begins."""
    account = books(threshold, seconds)
    made = Fleet(service, variation, parse_routing(routing), account, horizon=seconds)
    for _ in range(pods):
        made.create(begins, begins)
    made.refresh(begins)
    return made


@dataclass(frozen=True)
class Answers:
    """Of one steady load: how many, the share within the threshold, and counts by fine class."""

    requests: int
    share: float
    latencies: Floats


def steady(
    service: ServiceTime,
    rate: float,
    seconds: float,
    seed: int,
    *,
    threshold: float = 0.5,
    pods: int = 1,
    routing: str = "random",
    variation: float = 0.0,
) -> Answers:
    """Of so many pods under Poisson arrivals at `rate` a second in all, past the beginning."""
    kernel.seed(seed)
    load = poisson(rate, seconds, seed, WARM_UP_SECONDS)
    some = fleet(
        pods=pods,
        service=service,
        routing=routing,
        variation=variation,
        threshold=threshold,
        seconds=seconds,
        begins=-WARM_UP_SECONDS,
    )
    some.send(load.times, load.chances, 0, math.inf)
    some.finish(seconds, math.inf)
    count = int(some.books.requests.sum())
    return Answers(count, some.books.good.sum() / count, some.books.latencies.astype(float))


@dataclass
class Planned:
    """A policy that asks for what it was told, from those times on; it keeps what it saw."""

    plan: dict[float, int] = field(default_factory=dict)
    period_seconds: float = 10.0
    name: str = "planned"
    saw: list[Seen] = field(default_factory=list)
    samples: dict[float, Mapping[str, PodSamples]] = field(default_factory=dict)

    def replicas(self, seen: Seen) -> int:
        self.saw.append(seen)
        self.samples[seen.now] = seen.samples()
        known = [at for at in self.plan if at <= seen.now]
        return self.plan[max(known)] if known else seen.replicas

    def at(self, now: float) -> Seen:
        return next(seen for seen in self.saw if seen.now == now)
