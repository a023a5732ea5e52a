"""The shapes of load that a person can ask for, as rates over time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dlagent.domain.traffic.schedule import RateCurve
from dlagent.domain.traffic.trace import Trace

_RAMP_UP_SHARE, _RAMP_HOLD_SHARE = 0.4, 0.2  # of the time; the way down takes the rest
_LEVELS = 4  # of the steps: from the low rate to the high one, both counted


@dataclass(frozen=True)
class RateRange:
    """The lowest and the highest rate, in requests per second.

    Raises:
        ValueError: the low one is negative or above the high one, or the high one is 0.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high < float("inf") or self.high == 0:
            raise ValueError("the low rate must not be below 0 or above the high one, nor both 0")


def constant(rate: float, duration_seconds: float) -> RateCurve:
    """One rate all the time."""
    return RateCurve(((0.0, rate), (duration_seconds, rate)))


def ramp(rates: RateRange, duration_seconds: float) -> RateCurve:
    """Evenly from low to high, a while there, and back to low."""
    top = _RAMP_UP_SHARE * duration_seconds
    fall = top + _RAMP_HOLD_SHARE * duration_seconds
    return RateCurve(
        ((0.0, rates.low), (top, rates.high), (fall, rates.high), (duration_seconds, rates.low))
    )


def steps(rates: RateRange, duration_seconds: float) -> RateCurve:
    """Four levels from low to high and back, seven steps of the same length."""
    up = np.linspace(rates.low, rates.high, _LEVELS)
    return _stairs([*up, *up[-2::-1]], duration_seconds)


def from_trace(
    trace: Trace,
    duration_seconds: float,
    rates: RateRange | None = None,
    multiply: float = 1.0,
) -> RateCurve:
    """A trace, squeezed or stretched into a duration; its rates keep their height, or are scaled.

    Args:
        trace: what came.
        duration_seconds: how long it takes now; the trace's own duration is its own pace.
        rates: the trace's lowest rate becomes the low one and its highest the high one.
        multiply: what the trace's rates are multiplied by, where no `rates` are given.

    Raises:
        ValueError: `rates` are given for a trace whose rate never changes.
    """
    found = trace.requests / trace.step_seconds
    if rates is None:
        return _stairs(found * multiply, duration_seconds)
    lowest, highest = float(found.min()), float(found.max())
    if lowest == highest:
        raise ValueError("its rate never changes, so it cannot be scaled to a range: multiply it")
    share = (found - lowest) / (highest - lowest)
    return _stairs(rates.low + share * (rates.high - rates.low), duration_seconds)


def _stairs(rates: ArrayLike, duration_seconds: float) -> RateCurve:
    """Each rate for an equal share of the time."""
    heights = np.asarray(rates, np.float64)
    edges = np.linspace(0.0, duration_seconds, len(heights) + 1)
    times = np.repeat(edges, 2)[1:-1]
    return RateCurve(tuple(zip(times.tolist(), np.repeat(heights, 2).tolist(), strict=True)))
