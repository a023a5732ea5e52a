"""A rate over time, and the times at which single requests are due by it.

Made by `shapes`, turned into requests by the load generator.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_CHUNK = 4096  # due times made at a time: a schedule of days is never held as a whole

Floats = NDArray[np.float64]


class Arrivals(StrEnum):
    """How requests lie around their rate."""

    POISSON = "poisson"
    """As many clients that know nothing of each other."""
    EVEN = "even"
    """At equal distances, or as equal as a rate that changes allows."""


@dataclass(frozen=True)
class RateCurve:
    """Requests per second as a function of time, linear between its points.

    Args:
        points: pairs of seconds and requests per second, by time, the first at 0. Two at the same
            time are a jump.

    Raises:
        ValueError: fewer than two points, a rate that is negative or not finite, times that fall.
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.points) < 2 or self.points[0][0] != 0:
            raise ValueError("a rate curve needs two points or more, the first at 0 seconds")
        if not np.isfinite(np.array(self.points)).all() or min(r for _, r in self.points) < 0:
            raise ValueError("times and rates must be finite, and rates not negative")
        if any(after[0] < before[0] for before, after in pairwise(self.points)):
            raise ValueError("the points must be given by time")

    @property
    def duration_seconds(self) -> float:
        """When it ends."""
        return self.points[-1][0]

    @property
    def requests(self) -> float:
        """How many requests are due in all, on average where they are drawn."""
        return float(self._cumulative[-1])

    def at(self, seconds: float) -> float:
        """Requests per second at a time, after a jump there; 0 before and behind the curve."""
        if not 0 <= seconds <= self.duration_seconds:
            return 0.0
        place = int(np.searchsorted(self._times, seconds, side="right")) - 1
        if place == len(self._times) - 1:
            return float(self._rates[-1])
        return float(self._rates[place] + self._slopes[place] * (seconds - self._times[place]))

    def inverse(self, requests: Floats) -> Floats:
        """When, in seconds, so many requests are due in all; each below `self.requests`."""
        place = np.searchsorted(self._cumulative, requests, side="right") - 1
        rate, slope = self._rates[place], self._slopes[place]
        missing = requests - self._cumulative[place]
        # The root of rate t + slope t^2 / 2 = missing, in the form that loses no digits.
        root = rate + np.sqrt(np.maximum(rate * rate + 2 * slope * missing, 0.0))
        after = np.divide(2 * missing, root, out=np.zeros_like(missing), where=root > 0)
        found: Floats = np.minimum(self._times[place] + after, self._times[place + 1])
        return found

    @cached_property
    def _times(self) -> Floats:
        return np.array([seconds for seconds, _ in self.points], np.float64)

    @cached_property
    def _rates(self) -> Floats:
        return np.array([rate for _, rate in self.points], np.float64)

    @cached_property
    def _slopes(self) -> Floats:
        """Of each stretch between two points; 0 where it has no length."""
        length, rise = np.diff(self._times), np.diff(self._rates)
        return np.divide(rise, length, out=np.zeros_like(rise), where=length > 0)

    @cached_property
    def _cumulative(self) -> Floats:
        """The requests due until each point."""
        means = (self._rates[1:] + self._rates[:-1]) / 2
        return np.concatenate([[0.0], np.cumsum(means * np.diff(self._times))])


def due_times(
    curve: RateCurve, arrivals: Arrivals, generator: np.random.Generator
) -> Iterator[Floats]:
    """The times, in seconds and rising, at which requests are due: an array of some at a time.

    Poisson arrivals are those of a process of rate 1, put through the inverse of the cumulative
    rate (Çinlar, Introduction to Stochastic Processes, 1975). `generator` is used for them alone.
    """
    total, reached = curve.requests, 0.0
    while reached < total:
        if arrivals is Arrivals.POISSON:
            ends = reached + np.cumsum(generator.exponential(size=_CHUNK))
        else:
            ends = reached + np.arange(_CHUNK, dtype=np.float64)
        reached = float(ends[-1]) + (arrivals is Arrivals.EVEN)
        within = ends[ends < total]
        if within.size:
            yield curve.inverse(within)
