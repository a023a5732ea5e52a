"""`replay_speed`: how many requests a second the simulator of `dlagent replay` plays on one core.

requests_per_second   of half a day of a million requests (a sine that needs 1 to 2 replicas) under
                      the operator's own policy, CPU time; hpa_requests_per_second: under an HPA
large_requests_per_second   the operator's policy with 50 replicas on average, a quarter of an hour
queue_requests_per_second   one pod alone and no policy, a million requests
baseline_queue_requests_per_second  the same queue in plain Python, with a heap of events; the
                      first requests of the same ones, and the run fails if the answers differ

Numba compiles, or reads what it has compiled before, ahead of what is timed: `compile_s`.
"""

import argparse
import heapq
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from benchmarks.bench import BenchmarkError, report, say
from dlagent.domain.scaling.history import History
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.replay import kernel
from dlagent.replay.engine import Requests, World, replay, requests_at
from dlagent.replay.fleet import Fleet, books
from dlagent.replay.kernel import Floats
from dlagent.replay.ours import Ours
from dlagent.replay.policies import parse_policies
from dlagent.replay.policy import Manifest, Policy
from dlagent.replay.routing import Routing

SERVICE = ServiceTime(0.04, 0.02, 8)
MANIFEST = Manifest(SERVICE, 0.5, 0.99, 1, 200, 60.0, 15.0)
WORLD = World(MANIFEST, SERVICE, 60.0, Routing(kernel.RANDOM))
CAPACITY = 32.4  # requests/s of one replica
HALF_DAY_SECONDS, STEP_SECONDS = 43_200.0, 60.0
QUEUE_RATE = 30.0
BASELINE_REQUESTS = 200_000

T = TypeVar("T")


def main() -> None:
    """Run and report."""
    argparse.ArgumentParser(prog="python -m benchmarks replay_speed").parse_args()
    began = time.process_time()
    _queue(np.arange(10.0))
    replay(WORLD, _load(1.0, 600.0), Ours(MANIFEST, History()))
    figures: dict[str, object] = {"compile_s": round(time.process_time() - began, 1)}
    (hpa,) = parse_policies("hpa-rps:target=0.7", MANIFEST)
    long = _load(0.72, HALF_DAY_SECONDS)
    figures["requests"] = len(long.times)
    figures["requests_per_second"] = _speed(long, Ours(MANIFEST, History()), 1)
    figures["hpa_requests_per_second"] = _speed(long, hpa.make(MANIFEST), 1)
    large = _load(50.0, 900.0)
    figures["large_requests_per_second"] = _speed(large, Ours(MANIFEST, History()), 50)
    report(figures | _of_the_queue())


def _load(replicas: float, seconds: float) -> Requests:
    """A sine that is high once, of so many replicas' load on average."""
    steps = np.arange(round(seconds / STEP_SECONDS))
    rates = replicas * CAPACITY * (1 - 0.8 * np.cos(2 * np.pi * steps / len(steps)))
    return requests_at(rates, STEP_SECONDS, 0.0, np.random.default_rng(1))


def _speed(load: Requests, policy: Policy, initial: int) -> int:
    took, found = _timed(lambda: replay(replace(WORLD, initial=initial), load, policy))
    say(f"{policy.name}: {len(load.times):,} requests, {found.pod_seconds / 3600:.1f} pod hours")
    return round(len(load.times) / took)


def _of_the_queue() -> dict[str, object]:
    """One pod alone, in both ways."""
    gaps = np.random.default_rng(1).exponential(1 / QUEUE_RATE, 1_000_000)
    times: Floats = np.cumsum(gaps)
    took, _ = _timed(lambda: _queue(times))
    first = times[:BASELINE_REQUESTS]
    slow, good = _timed(lambda: _plain_queue(first.tolist()))
    if good != _queue(first):
        raise BenchmarkError(f"{good} within the threshold in plain Python, {_queue(first)} here")
    return {
        "queue_requests_per_second": round(len(times) / took),
        "baseline_queue_requests_per_second": round(BASELINE_REQUESTS / slow),
    }


def _timed(action: Callable[[], T]) -> tuple[float, T]:
    began = time.process_time()
    found = action()
    return time.process_time() - began, found


def _queue(times: Floats) -> int:
    """How many are answered within the threshold."""
    account = books(MANIFEST.threshold_seconds, float(times[-1]) + 1)
    fleet = Fleet(SERVICE, 0.0, Routing(kernel.RANDOM), account)
    fleet.create(0.0, 0.0)
    fleet.refresh(0.0)
    fleet.send(times, np.zeros(len(times)), 0, math.inf)
    fleet.finish(math.inf, math.inf)
    return int(account.good.sum())


def _plain_queue(times: list[float]) -> int:
    """The same with a heap of arrivals and of ends of batches, as a simulator is written first."""
    events = [(at, number) for number, at in enumerate(times)]
    heapq.heapify(events)
    waiting: deque[float] = deque()
    ends, good, busy = len(times), 0, False
    while events:
        now, kind = heapq.heappop(events)
        if kind == ends:
            busy = False
        else:
            waiting.append(times[kind])
        if busy or not waiting:
            continue
        batch = [waiting.popleft() for _ in range(min(len(waiting), SERVICE.max_batch))]
        end = now + SERVICE.seconds(len(batch))
        busy = True
        good += sum(end - at <= MANIFEST.threshold_seconds * (1 + 1e-9) for at in batch)
        heapq.heappush(events, (end, ends))
    return good
