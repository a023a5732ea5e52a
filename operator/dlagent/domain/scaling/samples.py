"""What Prometheus has of the Triton pods: raw samples, and the safe difference of a counter.

Made by dlagent.adapters.prometheus, read by `signals` and `ledger`. The samples are raw because
PromQL's `increase` drops the first value of a series that was born inside the window, which is what
happens whenever something is scaled. Times are Unix seconds.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from dlagent.domain.scaling.values import NoData

STALE_INTERVALS = 2.5  # a sample older than so many scrape intervals tells nothing about now
WINDOW_INTERVALS = 4  # over which rates are measured: three differences, or two if one is lost

Sample = tuple[float, float]  # time and value
_TOO_LARGE = 2.0**64
_FASTEST = 1e5  # requests/s: what no Triton answers
FASTEST_ROWS = 1e8  # rows/s: a request may have many
# A first sample from which the counter rises so many times as fast as later, and as so many
# requests/s, is not believed.
_SUDDEN = 20.0
_SAME_EDGE = 1e-9  # an edge that differs by this share has been through milliseconds and text


@dataclass(frozen=True, slots=True)
class PodSamples:
    """One pod's samples within the window, the oldest first; `quantiles` are the newest alone.

    `quantiles` has pairs of share and latency in seconds, by share; none where Triton answered
    nothing lately. `buckets` are of the histogram of latencies, by their upper end in seconds: how
    many answers took at most so long; none where Triton has no histogram. `twice` is set where a
    series was there more than once: one of them is wrong.
    """

    successes: tuple[Sample, ...] = ()
    failures: tuple[Sample, ...] = ()
    pending: tuple[Sample, ...] = ()
    inferences: tuple[Sample, ...] = ()
    quantiles: tuple[tuple[float, float], ...] = ()
    buckets: tuple[tuple[float, tuple[Sample, ...]], ...] = ()
    twice: bool = False


class Timed(NamedTuple):
    """Of a pod's histogram: all answers, and those within a threshold."""

    total: tuple[Sample, ...]
    within: tuple[Sample, ...]


def timed(samples: PodSamples, threshold_seconds: float) -> Timed | None:
    """None where the pod has no histogram, or none with the threshold as an edge."""
    edges = dict(samples.buckets)
    total = counted(edges.get(math.inf, ()))
    for edge, found in samples.buckets:
        if math.isclose(edge, threshold_seconds, rel_tol=_SAME_EDGE):
            within = counted(found)
            return Timed(total, within) if total and within else None
    return None


def without_warm_up(samples: PodSamples, requests: int) -> PodSamples:
    """The samples as if Triton had not counted so many requests of its own when it started.

    What it takes off is the same of each sample, so it counts only where a counter began.
    """

    def lowered(series: tuple[Sample, ...]) -> tuple[Sample, ...]:
        return tuple((at, max(0.0, value - requests)) for at, value in usable(series))

    return replace(
        samples, successes=lowered(samples.successes), inferences=lowered(samples.inferences)
    )


PodName = tuple[str, str]  # namespace and name


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All pods at one time, by namespace and name."""

    at: float
    pods: Mapping[PodName, PodSamples] = field(default_factory=dict)


SnapshotReading = Snapshot | NoData


def usable(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Without what no counter or gauge of Triton can be: NaN, negative, or not of 64 bits."""
    return tuple(sample for sample in samples if 0 <= sample[1] < _TOO_LARGE)


def counted(samples: tuple[Sample, ...], fastest: float = _FASTEST) -> tuple[Sample, ...]:
    """Of a counter's samples those that agree with their neighbours: garbage counts nothing.

    A fall is a reset only if the next sample does not take it back: so the newest sample waits for
    it. Nothing tells of the first whether it is odd. `fastest` (per second) is more than it rises.
    """
    found: list[Sample] = []
    whole = usable(samples)
    for number, sample in enumerate(whole):
        after = whole[number + 1] if number + 1 < len(whole) else None
        if not found or not _is_odd(found[-1], sample, after, fastest):
            found.append(sample)
    return tuple(found)


def for_a_rate(samples: tuple[Sample, ...], fastest: float = _FASTEST) -> tuple[Sample, ...]:
    """Those counted, without the first where it is in doubt: a rate is then measured over less
    time, and is as right.
    """
    found = counted(samples, fastest)
    return found[1:] if _begins_oddly(found) else found


def _is_odd(before: Sample, sample: Sample, after: Sample | None, fastest: float) -> bool:
    rise = sample[1] - before[1]
    if rise < 0:
        return after is None or after[1] >= before[1]
    if rise > fastest * (sample[0] - before[0]):
        return True
    return after is not None and before[1] <= after[1] < sample[1]


def _begins_oddly(samples: tuple[Sample, ...]) -> bool:
    if len(samples) < 3:
        return False
    rises = [later[1] - earlier[1] for earlier, later in pairwise(samples)]
    seconds = samples[1][0] - samples[0][0]
    return not 0 <= rises[0] <= _SUDDEN * (max(0.0, *rises[1:]) + seconds)


def increase(samples: tuple[Sample, ...], start: float | None = None) -> float:
    """How much a counter rose over the samples; a fall is a reset, after which it began at 0.

    `start` is its value before the first sample, where that is known (0 for a pod that is new).
    """
    total = 0.0
    last = start
    for _, value in samples:
        if last is not None:
            total += value - last if value >= last else value
        last = value
    return total
