"""Which batch size, instances and threads answer the most requests within the promise.

dlagent.domain.artifact.triton_config asks it where a spec is silent. It is decided anew for each
promise, from the table that the build has measured: that takes milliseconds and no build.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from dlagent.domain.artifact.interface import TauPoint
from dlagent.domain.scaling.capacity import attained_share, capacity
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.domain.tuning.table import Workers, by_workers, plainest, service_time

# Two rates that differ by less are as good as equal: times are measured to no better than that.
_NEARLY = 1.01


@dataclass(frozen=True)
class Wanted:
    """What a replica must keep, and what of its plan is settled; None is free to choose.

    `cores`: how many of them the replica has to compute with; None where an accelerator computes.
    """

    threshold_seconds: float
    objective: float
    cores: int | None = 1
    max_batch: int | None = None
    instances: int | None = None
    delay_seconds: float = 0.0


@dataclass(frozen=True)
class Choice:
    """`rate`: the inferences/s that a replica answers within the promise; 0 where none are."""

    max_batch: int
    workers: Workers
    rate: float


@dataclass(frozen=True)
class _Candidate:
    workers: Workers
    service: ServiceTime


@lru_cache(maxsize=4096)
def choose(tau: tuple[TauPoint, ...], wanted: Wanted) -> Choice:
    """The plan with the greatest rate, to 2 %: of those that are nearly as good, the smallest.

    Candidates are the measured workers that the replica has cores for, and batches in powers of two
    up to the largest that was measured: beyond it nothing is known. Rates are those of the queue in
    dlagent.domain.scaling.capacity. The smallest has the fewest cores, then the smallest batch.

    The batch delay is never raised from 0: the batch that runs lets the next one gather, and a
    delay is lost to every request that would not have waited. Where no plan keeps the promise it
    is batches of one on the fewest workers, at rate 0.
    """
    candidates = list(_candidates(tau, wanted))
    most = 0.0
    # To know that another is not better takes one look at its queue, to know its rate a dozen.
    for candidate in sorted(candidates, key=lambda each: _promise(each, wanted), reverse=True):
        if _keeps(candidate, _NEARLY * most, wanted):
            most = max(most, _rate(candidate, wanted))
    if most == 0:
        fewest = next(iter(_workers(tau, wanted)), Workers())
        return Choice(wanted.max_batch or 1, fewest, 0.0)
    first = next(each for each in candidates if _keeps(each, most / _NEARLY, wanted))
    return Choice(first.service.max_batch, first.workers, _rate(first, wanted))


def _candidates(tau: tuple[TauPoint, ...], wanted: Wanted) -> Iterator[_Candidate]:
    """From small to large, without those that are late whenever a batch is full."""
    for workers in _workers(tau, wanted):
        for batch in _batches(tau, workers, wanted):
            service = service_time(tau, workers, batch, wanted.delay_seconds)
            if service is None:
                continue
            if service.seconds(batch) <= wanted.threshold_seconds or wanted.max_batch is not None:
                yield _Candidate(workers, service)


def _workers(tau: tuple[TauPoint, ...], wanted: Wanted) -> list[Workers]:
    """The settled number of instances with a thread each, else what was measured and fits."""
    if wanted.instances is not None:
        return [Workers(wanted.instances)]
    measured = list(by_workers(tau))
    if wanted.cores is None:
        return measured
    # The first is taken even of a replica that has less than a core.
    return [each for each in measured if each.cores <= wanted.cores] or measured[:1]


def _batches(tau: tuple[TauPoint, ...], workers: Workers, wanted: Wanted) -> list[int]:
    if wanted.max_batch is not None:
        return [wanted.max_batch]
    points = by_workers(tau).get(workers, plainest(tau))
    largest = max((point.batch for point in points), default=1)
    powers = (1 << exponent for exponent in range(largest.bit_length()))
    return sorted({largest, *powers})


def _promise(candidate: _Candidate, wanted: Wanted) -> tuple[bool, float]:
    """What is likely to be good comes first: a request in time though it waits for a batch."""
    service = candidate.service
    in_time = 2 * service.seconds(service.max_batch) <= wanted.threshold_seconds
    return in_time, service.saturation if in_time else -service.saturation


def _keeps(candidate: _Candidate, rate: float, wanted: Wanted) -> bool:
    share = attained_share(candidate.service, rate, wanted.threshold_seconds)
    return share >= wanted.objective


def _rate(candidate: _Candidate, wanted: Wanted) -> float:
    return capacity(candidate.service, wanted.threshold_seconds, wanted.objective)
