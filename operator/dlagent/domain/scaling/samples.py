"""What Prometheus has of the Triton pods: raw samples, and the safe difference of a counter.

Made by dlagent.adapters.prometheus, read by `signals` and `ledger`. The samples are raw because
PromQL's `increase` drops the first value of a series that was born inside the window, which is what
happens whenever something is scaled. Times are Unix seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dlagent.domain.scaling.values import NoData

STALE_INTERVALS = 2.5  # a sample older than so many scrape intervals tells nothing about now
WINDOW_INTERVALS = 4  # over which rates are measured: three differences, or two if one is lost

Sample = tuple[float, float]  # time and value
_TOO_LARGE = 2.0**64


@dataclass(frozen=True, slots=True)
class PodSamples:
    """One pod's samples within the window, the oldest first; `quantiles` are the newest alone.

    `quantiles` has pairs of share and latency in seconds, by share; none where Triton answered
    nothing lately. `twice` is set where a series was there more than once: one of them is wrong.
    """

    successes: tuple[Sample, ...] = ()
    failures: tuple[Sample, ...] = ()
    pending: tuple[Sample, ...] = ()
    inferences: tuple[Sample, ...] = ()
    quantiles: tuple[tuple[float, float], ...] = ()
    twice: bool = False


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
