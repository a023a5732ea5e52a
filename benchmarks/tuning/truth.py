"""What a plan truly answers within the promise, where the accelerator's times are known.

A simulation of every request, which shares no line with the queue model that the tuner chooses by:
Triton's one queue, a batch when an instance is free and the batch is full or its first request has
waited the delay, and one device that the instances of a model use in turn.
"""

import heapq
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from dlagent.domain.artifact.request import Simulated
from dlagent.domain.artifact.triton_config import ServingPlan

_REQUESTS = 12_000
_WARM = 2_000  # of them, which are not counted
_STEPS = 9  # of the search for the rate, each of which halves what is left
_LOWEST_SHARE = 0.1  # of saturation, at which the search begins


@dataclass(frozen=True)
class Promise:
    """So large a share of the requests is answered within so long."""

    threshold_seconds: float
    objective: float


def grid(
    batches: tuple[int, ...], delays: tuple[int, ...], instances: tuple[int, ...]
) -> list[ServingPlan]:
    """Every plan; delays in microseconds."""
    return [
        ServingPlan(batch, delay, count)
        for batch in batches
        for delay in delays
        for count in instances
    ]


def true_rate(plan: ServingPlan, device: Simulated, promise: Promise) -> float:
    """Requests/s at which the promise is just kept, to 0.5 %; 0 where it is not at a tenth load."""
    saturation = 1000 * plan.max_batch_size / device.milliseconds(plan.max_batch_size)
    low, high = _LOWEST_SHARE * saturation, saturation
    if share_in_time(plan, device, promise, low) < promise.objective:
        return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if share_in_time(plan, device, promise, middle) >= promise.objective:
            low = middle
        else:
            high = middle
    return low


def share_in_time(plan: ServingPlan, device: Simulated, promise: Promise, rate: float) -> float:
    """Of Poisson arrivals at `rate` a second; the same arrivals for each plan."""
    gaps = np.random.default_rng(1).exponential(1 / rate, _REQUESTS)
    arrived = np.cumsum(gaps).tolist()
    size, delay = plan.max_batch_size, plan.batch_delay_microseconds / 1e6
    free = [0.0] * plan.instances
    device_free, first, in_time = 0.0, 0, 0
    while first < _REQUESTS:
        full = arrived[min(first + size, _REQUESTS) - 1]
        made_up = max(heapq.heappop(free), min(arrived[first] + delay, full))
        made_up = max(made_up, arrived[first])
        last = bisect_right(arrived, made_up, first, min(first + size, _REQUESTS))
        end = max(made_up, device_free) + device.milliseconds(last - first) / 1000
        device_free = end
        heapq.heappush(free, end)
        in_time += sum(
            end - at <= promise.threshold_seconds for at in arrived[max(first, _WARM) : last]
        )
        first = last
    return in_time / (_REQUESTS - _WARM)
