"""Latency of all pods together, from the quantiles that each pod gives of its own.

Quantiles cannot be averaged, but distributions can be mixed: each pod's quantiles are read as
points of its distribution function, and the functions are weighted by the pods' rates. The result
is an estimate. Called by `signals` and `ledger`.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

_HALVINGS = 20  # of an interval that begins at 0 or at half of its end: six digits


class LatencySignal(StrEnum):
    """What told how many answers were in time; the value is shown in a DLAgent's status."""

    HISTOGRAM = "Histogram"  # a count
    SUMMARY = "Summary"  # an estimate, from quantiles


@dataclass(frozen=True, slots=True)
class Distribution:
    """Points (share, seconds) of a distribution function, by share; at least one.

    It is linear from (0, 0) to the first; from there on the share that takes longer falls
    exponentially from point to point, and beyond the last as steeply as before it.
    """

    points: tuple[tuple[float, float], ...]

    def share_within(self, seconds: float) -> float:
        """The share of requests that took at most so long."""
        values = [value for _, value in self.points]
        place = bisect_left(values, seconds)
        if place == len(values):
            return self._beyond(seconds)
        upper_share, upper = self.points[place]
        if place == 0:
            return upper_share * seconds / upper if upper > 0 else upper_share
        lower_share, lower = self.points[place - 1]
        if upper <= lower:
            return upper_share
        way = (seconds - lower) / (upper - lower)
        return 1 - (1 - lower_share) * math.pow((1 - upper_share) / (1 - lower_share), way)

    def _beyond(self, seconds: float) -> float:
        share, last = self.points[-1]
        if len(self.points) == 1 or share >= 1.0:
            return 1.0 if seconds > last else share
        before_share, before = self.points[-2]
        if last <= before:
            return 1.0 if seconds > last else share
        scale = (last - before) / math.log((1 - before_share) / (1 - share))
        return 1 - (1 - share) * math.exp(-(seconds - last) / scale)


def distribution(quantiles: Sequence[tuple[float, float]]) -> Distribution | None:
    """None where a quantile is NaN, infinite or negative, they fall, or there is none."""
    points = tuple(sorted(quantiles))
    valid = all(
        0 < share < 1 and math.isfinite(seconds) and seconds >= 0 for share, seconds in points
    )
    rising = all(after[1] >= before[1] for before, after in pairwise(points))
    return Distribution(points) if points and valid and rising else None


@dataclass(frozen=True, slots=True)
class Mixture:
    """Distributions with their weights, which need not add up to 1."""

    parts: tuple[tuple[float, Distribution], ...]

    def share_within(self, seconds: float) -> float:
        """The share of all requests that took at most so long."""
        total = sum(weight for weight, _ in self.parts)
        return sum(w * part.share_within(seconds) for w, part in self.parts) / total

    def quantile(self, share: float) -> float:
        """The time, in seconds, within which that share of the requests was answered."""
        low, high = 0.0, max(part.points[-1][1] for _, part in self.parts) or 1e-6
        while self.share_within(high) < share:
            low, high = high, 2 * high
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if self.share_within(middle) < share:
                low = middle
            else:
                high = middle
        return high
