"""The load of `slo_live`, the same for both scalers: 20 minutes of steps and ramps.

One replica of the local cluster's simulated accelerator answers about 32 requests/s within the
promise, so that the load needs one to four of them.
"""

from itertools import pairwise

from dlagent.domain.traffic.schedule import RateCurve

# Minutes, and requests/s from there on, linear up to the next point; two at once are a step.
_POINTS = (
    (0.0, 12.0),
    (0.75, 12.0),
    (0.75, 45.0),  # to two replicas
    (2.25, 45.0),
    (2.25, 15.0),
    (3.5, 15.0),
    (7.5, 100.0),  # a ramp to four, slower than pods start
    (9.5, 100.0),
    (12.0, 20.0),
    (13.5, 20.0),
    (13.5, 80.0),  # to three
    (15.5, 80.0),
    (15.5, 25.0),
    (17.0, 25.0),
    (17.5, 60.0),  # a ramp as quick as pods start
    (18.5, 60.0),
    (20.0, 12.0),
)
CURVE = RateCurve(tuple((60 * minutes, rate) for minutes, rate in _POINTS))


def beginning(curve: RateCurve, seconds: float) -> RateCurve:
    """The curve up to a time within it.

    Raises:
        ValueError: it is not within.
    """
    if not 0 < seconds <= curve.duration_seconds:
        raise ValueError(f"the load lasts {curve.duration_seconds / 60:g} minutes")
    before = [point for point in curve.points if point[0] < seconds]
    (begun, low), (ended, high) = next(
        (first, then) for first, then in pairwise(curve.points) if first[0] < seconds <= then[0]
    )
    last = low + (high - low) * (seconds - begun) / (ended - begun)
    return RateCurve((*before, (seconds, last)))
