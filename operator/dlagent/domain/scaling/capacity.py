"""What one replica can do within a promise, worked out from how long its batches take.

The queue behind it is in dlagent.domain.scaling.batch_queue: Poisson arrivals, batches of what
waits. A batch delay is charged to each request in full, and its batch grows meanwhile. That is what
a request meets that finds the server idle; most others wait less, so it errs to the safe side.

Several instances are as many queues, each with its share of the requests. Triton has one queue for
all, from which whichever is free takes, and a batch is slowed only by those that run beside it: so
this errs to the safe side as well.

dlagent.domain.scaling.decision calls `capacity`, and dlagent.domain.tuning.choice compares plans by
it. Rates are in inferences/s.
"""

import math
from dataclasses import replace
from functools import lru_cache

from dlagent.domain.scaling.batch_queue import BatchQueue
from dlagent.domain.scaling.service_time import ServiceTime

_STEP = 0.005  # capacity is found to this share of itself,
_STEPS = 4096  # down to exp(-_STEP _STEPS) = 1e-9 of saturation
_ROUNDING = 1e-9  # a threshold shorter than a time by this share is that time
_QUANTILE_ERROR = 1e-5
# Larger batches are taken for these: they bring next to nothing (docs/explanation/capacity.md), and
# the work grows with the cube of the batch, the memory with its square.
_LARGEST_BATCH = 128


def attained_share(service: ServiceTime, rate: float, threshold_seconds: float) -> float:
    """The share of requests that are answered within the threshold, to 1e-6 (max_batch <= 64).

    0 at or above saturation, where the queue grows for ever. ValueError for what is not a rate.
    """
    if not rate >= 0:
        raise ValueError(f"a rate is 0 or more, not {rate}")
    threshold = threshold_seconds * (1 + _ROUNDING)
    if rate >= service.saturation or threshold < service.lone_seconds:
        return 0.0
    if rate == 0:
        return 1.0
    return _queue(service, rate / service.instances).share_within(threshold)


def latency_quantile(service: ServiceTime, rate: float, share: float) -> float:
    """The seconds within which `share` of the requests are answered, to 1e-5 of itself.

    Infinite at or above saturation, and where `share` cannot be told from all.
    """
    if rate >= service.saturation or share > 1 - 1e-6:
        return math.inf
    low = high = service.lone_seconds
    while attained_share(service, rate, high) < share:
        low, high = high, 2 * high
    while high - low > _QUANTILE_ERROR * low:
        middle = (low + high) / 2
        if attained_share(service, rate, middle) < share:
            low = middle
        else:
            high = middle
    return high


def limited(service: ServiceTime) -> ServiceTime:
    """With batches no larger than this module's arithmetic is quick for."""
    return replace(service, max_batch=min(service.max_batch, _LARGEST_BATCH))


@lru_cache(maxsize=16_384)
def capacity(service: ServiceTime, threshold_seconds: float, objective: float) -> float:
    """The greatest rate at which the share `objective` of the requests keeps the threshold.

    Up to 0.5 % too low: rates are tried on a fixed grid, so that a longer threshold or a lower
    objective never gives less. Below saturation; 0 where even a lone request misses.
    """
    service = limited(service)
    if attained_share(service, 0.0, threshold_seconds) < objective:
        return 0.0
    too_fast, slow_enough = 0, _STEPS
    while slow_enough - too_fast > 1:
        step = (too_fast + slow_enough) // 2
        if attained_share(service, _rate(service, step), threshold_seconds) >= objective:
            slow_enough = step
        else:
            too_fast = step
    return _rate(service, slow_enough) if slow_enough < _STEPS else 0.0


def _rate(service: ServiceTime, step: int) -> float:
    return service.saturation * math.exp(-_STEP * step)


@lru_cache(maxsize=1)
def _queue(service: ServiceTime, rate: float) -> BatchQueue:
    return BatchQueue(service, rate)
