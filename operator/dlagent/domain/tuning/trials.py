"""Which batch to measure next, so that few trials are as good as all: a sequential design.

dlagent.build.measure asks, measures, and asks again. The promise plays no part: an artifact serves
agents of any promise, so the table must do for each.

What makes few trials enough: tau(b) = tau0 + alpha b is close to a line, so both ends and a check
between tell the rest; max_batch_size and the batch delay do not change how long a given batch
takes, so they need no trials at all; and more instances or threads either help or they do not,
which two batch sizes show. It stands in for trying all combinations of batch size, delay, instances
and threads under load.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dlagent.domain.artifact.interface import TauPoint
from dlagent.domain.scaling.service_time import fit_service_time
from dlagent.domain.tuning.table import Workers, by_workers, service_time

BATCHES = (1, 2, 4, 8, 16, 32, 64)
_COUNTS = (1, 2, 4)  # of instances, and of threads
_LONGEST_MILLISECONDS = 1000.0  # a batch that would take longer is not tried
_OFF_THE_LINE = 0.05  # a point may be off the line through the others by this share
_GAIN = 1.04  # less than that may be noise


@dataclass(frozen=True)
class Trial:
    batch: int
    workers: Workers


@dataclass(frozen=True)
class Done:
    """Why nothing more is measured."""

    reason: str


@dataclass(frozen=True)
class TrialSpace:
    """What can be tried: batch sizes from small to large, workers from few to many."""

    batches: tuple[int, ...]
    workers: tuple[Workers, ...]


def trial_space(batched: bool, cores: int, accelerated: bool = False) -> TrialSpace:
    """What makes sense on so many cores; an accelerator computes on no threads of ours."""
    kinds = [
        Workers(instances, threads)
        for instances in _COUNTS
        for threads in (_COUNTS[:1] if accelerated else _COUNTS)
        if accelerated or instances * threads <= max(1, cores)
    ]
    ordered = sorted(kinds, key=lambda workers: (workers.cores, workers.instances))
    return TrialSpace(BATCHES if batched else BATCHES[:1], tuple(ordered))


def next_trial(measured: Sequence[TauPoint], space: TrialSpace, budget: int) -> Trial | Done:
    """The next batch to measure, given all that was measured so far.

    For one kind of workers after the other: the smallest batch, the largest that should not take
    longer than a second, one between, and more beside a point that is off the line through the
    others. Workers that are no better than fewer ones are left after two trials, and those that
    have as many instances and threads, or more, are not tried.
    """
    if len(measured) >= budget:
        return Done(f"{budget} trials are all that may be spent")
    useless: list[Workers] = []
    for workers in space.workers:
        if any(workers.at_least(other) for other in useless):
            continue
        if _is_useless(measured, workers):
            useless.append(workers)
            continue
        batch = _next_batch(measured, workers, space)
        if batch is not None:
            return Trial(batch, workers)
    return Done("the rest follows from what was measured")


def _next_batch(measured: Sequence[TauPoint], workers: Workers, space: TrialSpace) -> int | None:
    points = by_workers(measured).get(workers, ())
    if not points:
        return space.batches[0]
    if len(points) == 1 and workers != space.workers[0]:
        compared = _middle(space.batches, _largest(measured, workers, space))
        if compared > points[0].batch:
            return compared
    largest = _largest(measured, workers, space)
    if largest > points[-1].batch:
        return largest
    if len(points) == 2:
        return _between(points[0].batch, points[1].batch, space)
    return _beside_a_bend(points, space)


def _largest(measured: Sequence[TauPoint], workers: Workers, space: TrialSpace) -> int:
    """The largest batch that should take no longer than allowed, by the line so far."""
    line = service_time(measured, workers, space.batches[-1])
    allowed = _LONGEST_MILLISECONDS / 1000
    fitting = (b for b in space.batches if line is not None and line.seconds(b) <= allowed)
    return max(fitting, default=space.batches[0])


def _middle(batches: Sequence[int], largest: int) -> int:
    tried = [batch for batch in batches if batch <= largest]
    return tried[len(tried) // 2]


def _between(low: int, high: int, space: TrialSpace) -> int | None:
    inner = [batch for batch in space.batches if low < batch < high]
    return inner[len(inner) // 2] if inner else None


def _beside_a_bend(points: Sequence[TauPoint], space: TrialSpace) -> int | None:
    """A batch next to the point that is furthest off the line through the others."""
    inner = sorted(range(1, len(points) - 1), key=lambda at: -_error(points, at))
    for at in inner:
        if _error(points, at) <= _OFF_THE_LINE:
            break
        for low, high in ((at - 1, at), (at, at + 1)):
            batch = _between(points[low].batch, points[high].batch, space)
            if batch is not None:
                return batch
    return None


def _error(points: Sequence[TauPoint], at: int) -> float:
    """How far a point is off the line through the others, as a share of itself."""
    others = [(p.batch, p.milliseconds) for n, p in enumerate(points) if n != at]
    line = fit_service_time(others, points[-1].batch)
    if line is None:
        return 0.0
    return abs(line.seconds(points[at].batch) / points[at].milliseconds - 1)


def _is_useless(measured: Sequence[TauPoint], workers: Workers) -> bool:
    """Whether fewer workers answer as many requests, and none later, at two batch sizes."""
    table = by_workers(measured)
    points = table.get(workers, ())[:2]
    fewer = [known for known in table if known != workers and workers.at_least(known)]
    enough = len(points) == 2 or any(len(table[known]) == 1 for known in fewer)
    return bool(points) and enough and any(_no_better(points, known, measured) for known in fewer)


def _no_better(points: Sequence[TauPoint], fewer: Workers, measured: Sequence[TauPoint]) -> bool:
    line = service_time(measured, fewer, points[-1].batch)
    if line is None:
        return False
    for point in points:
        their_milliseconds = 1000 * line.seconds(point.batch)
        gain = point.instances * their_milliseconds / (fewer.instances * point.milliseconds)
        if gain > _GAIN or their_milliseconds > _GAIN * point.milliseconds:
            return False
    return True
