"""From what became of the requests to the figures: per second, and of the whole run.

Percentiles are those of the requests that were answered; failures are counted beside them, and
count as misses in the share within the SLO. Called by `dlagent bench`, its live view and its
picture.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlagent.bench.journal import Requests

LATE_SECONDS = 0.01  # a generator that is later than this for one request in a hundred is too slow

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Percentiles:
    """Latencies in seconds; None where nothing was answered."""

    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


@dataclass(frozen=True)
class Timeline:
    """Steps of equal length; NaN in a percentile or share means that the step has none.

    Requests are counted in the step in which they were due, with their latency and their failure;
    `answered` counts answers in the step in which they came.
    """

    step_seconds: float
    offered: Counts
    answered: Counts
    failed: Counts
    p50_seconds: Floats
    p95_seconds: Floats
    p99_seconds: Floats
    within_slo: Floats

    @property
    def seconds(self) -> Floats:
        """When each step begins."""
        return np.arange(len(self.offered), dtype=np.float64) * self.step_seconds


@dataclass(frozen=True)
class Lateness:
    """How well the generator kept its own times, over all requests that were due."""

    p99_seconds: float
    max_seconds: float
    requests: int
    """How many were later than LATE_SECONDS."""

    @property
    def kept_up(self) -> bool:
        """Whether the figures are those of the agent, and not of the generator."""
        return self.p99_seconds <= LATE_SECONDS


@dataclass(frozen=True)
class Summary:
    """The whole run."""

    due: int
    answered: int
    unfinished: int
    failures: dict[str, int]
    offered_per_second: float
    answered_per_second: float
    latency: Percentiles
    within_slo: float | None
    """Share of the requests that ended or took longer already; None without an SLO or any."""
    lateness: Lateness

    @property
    def failed(self) -> int:
        """Requests without a right answer."""
        return sum(self.failures.values())


def summarise(requests: Requests, slo_seconds: float | None, sending_seconds: float) -> Summary:
    """The figures of a run in which requests were due for `sending_seconds`."""
    answered, unfinished = requests.answered, requests.unfinished
    came = (requests.due_seconds + requests.latency_seconds)[answered]
    due = len(requests.due_seconds)
    judged = int(requests.judged(slo_seconds).sum())
    good = _within(requests, slo_seconds)
    return Summary(
        due=due,
        answered=int(answered.sum()),
        unfinished=int(unfinished.sum()),
        failures=requests.failures(),
        offered_per_second=_rate(due, sending_seconds),
        answered_per_second=_rate(int((came <= sending_seconds).sum()), sending_seconds),
        latency=percentiles(requests),
        within_slo=int(good.sum()) / judged if good is not None and judged else None,
        lateness=_lateness(requests),
    )


def percentiles(requests: Requests) -> Percentiles:
    """Of those that were answered."""
    latency = requests.latency_seconds[requests.answered]
    if not latency.size:
        return Percentiles(None, None, None, None)
    return Percentiles(*np.percentile(latency, [50, 95, 99, 100]).tolist())


def timeline(requests: Requests, slo_seconds: float | None, step_seconds: float = 1.0) -> Timeline:
    """Step by step, up to the last answer or failure."""
    ended_at = requests.due_seconds + requests.latency_seconds
    steps = int(ended_at.max() / step_seconds) + 1 if ended_at.size else 0
    due = (requests.due_seconds / step_seconds).astype(np.int64)
    answered = requests.answered
    came = (ended_at[answered] / step_seconds).astype(np.int64)
    offered = np.bincount(due, minlength=steps)
    failed = np.bincount(due[~answered & ~requests.unfinished], minlength=steps)
    p50, p95, p99 = _percentiles_by_step(due[answered], requests.latency_seconds[answered], steps)
    return Timeline(
        step_seconds=step_seconds,
        offered=offered,
        answered=np.bincount(came, minlength=steps),
        failed=failed,
        p50_seconds=p50,
        p95_seconds=p95,
        p99_seconds=p99,
        within_slo=_share_by_step(requests, due, slo_seconds, steps),
    )


def _percentiles_by_step(
    step: Counts, latency: NDArray[np.float32], steps: int
) -> tuple[Floats, Floats, Floats]:
    p50, p95, p99 = found = _missing(steps), _missing(steps), _missing(steps)
    order = np.argsort(step, kind="stable")
    present, starts = np.unique(step[order], return_index=True)
    for number, values in zip(present, np.split(latency[order], starts[1:]), strict=False):
        p50[number], p95[number], p99[number] = np.percentile(values, [50, 95, 99])
    return found


def _share_by_step(
    requests: Requests, due: Counts, slo_seconds: float | None, steps: int
) -> Floats:
    shares = _missing(steps)
    good = _within(requests, slo_seconds)
    if good is None:
        return shares
    judged = np.bincount(due[requests.judged(slo_seconds)], minlength=steps)
    np.divide(np.bincount(due[good], minlength=steps), judged, out=shares, where=judged > 0)
    return shares


def _missing(steps: int) -> Floats:
    return np.full(steps, np.nan, np.float64)


def _within(requests: Requests, slo_seconds: float | None) -> NDArray[np.bool_] | None:
    """Which were answered in time."""
    if slo_seconds is None:
        return None
    return requests.answered & (requests.latency_seconds <= slo_seconds)


def _lateness(requests: Requests) -> Lateness:
    late = requests.late_seconds
    if not late.size:
        return Lateness(0.0, 0.0, 0)
    p99, worst = np.percentile(late, [99, 100]).tolist()
    return Lateness(p99, worst, int((late > LATE_SECONDS).sum()))


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0
