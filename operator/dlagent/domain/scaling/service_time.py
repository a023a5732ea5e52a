"""How long one replica works at a batch, and the line through what a build measured.

dlagent.domain.scaling.capacity rests on it; dlagent.reconcile.scaled fits it to the artifact.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """tau(b) = base_seconds + per_item_seconds b for b = 1..max_batch.

    The form is Inoue's (arXiv 1912.06322, there tau0 and alpha). `max_batch` is 1 where the model
    takes no batches; `delay_seconds` is Triton's max_queue_delay: how long a batch that is not full
    may wait for more. `instances` work at a batch each, and tau is what it takes while all do.
    Raises ValueError for a time that no replica can have.
    """

    base_seconds: float
    per_item_seconds: float
    max_batch: int
    delay_seconds: float = 0.0
    instances: int = 1

    def __post_init__(self) -> None:
        times = (self.base_seconds, self.per_item_seconds, self.delay_seconds)
        if not all(math.isfinite(time) and time >= 0 for time in times):
            raise ValueError(f"a service takes finite times, none negative, not {times}")
        if self.max_batch < 1:
            raise ValueError(f"a batch has at least one request, not {self.max_batch}")
        if self.instances < 1:
            raise ValueError(f"a replica has at least one instance, not {self.instances}")
        if self.seconds(1) == 0:
            raise ValueError("a service takes time")

    def seconds(self, batch: int) -> float:
        """How long a batch of `batch` requests takes."""
        return self.base_seconds + self.per_item_seconds * batch

    @property
    def at_once(self) -> int:
        """How many requests are worked at together where all instances have full batches."""
        return self.instances * self.max_batch

    @property
    def held_seconds(self) -> float:
        """The longest that a request waits for others; a batch of one that is full waits never."""
        return self.delay_seconds if self.max_batch > 1 else 0.0

    @property
    def lone_seconds(self) -> float:
        """The latency of a request that nothing else is in the way of, at its longest."""
        return self.held_seconds + self.seconds(1)

    @property
    def saturation(self) -> float:
        """Requests/s at which full batches one after the other just keep up, in each instance."""
        return self.instances * self.max_batch / self.seconds(self.max_batch)


def fit_service_time(
    points: Sequence[tuple[int, float]],
    max_batch: int,
    delay_seconds: float = 0.0,
    instances: int = 1,
) -> ServiceTime | None:
    """The line nearest to `points` (batch, seconds) by relative error; None where none is usable.

    Least squares with weights 1 / seconds^2. Points that are not positive and finite are left out.
    Where the best line would be negative at 0 or would fall, the best of those that do not is
    taken. Points of a single batch size leave the slope open; then see `_cautious`.
    """
    usable = [(b, t) for b, t in points if b >= 1 and math.isfinite(t) and t > 0]
    if not usable:
        return None
    batches, seconds = np.array(usable, dtype=float).T
    if batches.min() == batches.max():
        level = float(np.average(seconds, weights=seconds**-2))
        base, slope = _cautious(int(batches[0]), level, max_batch)
    else:
        base, slope = _line(batches, seconds)
    return ServiceTime(base, slope, max_batch, delay_seconds, instances)


def _line(batches: NDArray[np.float64], seconds: NDArray[np.float64]) -> tuple[float, float]:
    """Base and slope, neither negative, of the least sum of squared relative errors."""
    weights = seconds**-2
    middle = np.average(batches, weights=weights)
    level = np.average(seconds, weights=weights)
    spread = np.average((batches - middle) ** 2, weights=weights)
    slope = float(np.average((batches - middle) * (seconds - level), weights=weights) / spread)
    if slope < 0:
        return float(level), 0.0
    base = float(level - slope * middle)
    if base < 0:
        through_zero = np.sum(weights * batches * seconds) / np.sum(weights * batches**2)
        return 0.0, float(through_zero)
    return base, slope


def _cautious(batch: int, seconds: float, max_batch: int) -> tuple[float, float]:
    """The slowest line that one measured batch size allows.

    A smaller batch may take as long, and a larger one may gain nothing (time in proportion to its
    size): the line through both ends of that. Measured at `max_batch` or above it is flat.
    """
    largest = seconds * max(1.0, max_batch / batch)
    slope = (largest - seconds) / (max_batch - 1) if max_batch > 1 else 0.0
    return max(0.0, seconds - slope), slope  # the difference may be rounded to below zero
