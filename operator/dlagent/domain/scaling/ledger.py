"""Counts how many requests were answered, and how many of them in time: the SLO's bookkeeping.

`account` is called at each tick, by dlagent.domain.scaling.look, with the state of the tick before.
Its sums become the operator's counters dlagent_slo_requests_total and
dlagent_slo_good_requests_total, from which Prometheus has the share over the whole window: a
restart loses what happens in it, and nothing of the past. A failed request is a missed one.

How many were in time a pod's histogram tells, where the threshold is the end of a bucket; else it
is estimated from the pod's quantiles.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dlagent.domain.scaling.latency import LatencySignal, distribution
from dlagent.domain.scaling.samples import PodSamples, Sample, counted, increase, timed
from dlagent.domain.scaling.signals import PodSeen

_BEGINNING: Sample = (-math.inf, 0.0)


@dataclass(frozen=True, slots=True)
class _TimedMark:
    """The last samples of a pod's histogram that are in the books, and of which threshold."""

    threshold_seconds: float
    total: Sample
    within: Sample


@dataclass(frozen=True, slots=True)
class _Mark:
    """The last sample of a pod that is in the books; `timed` where it has a histogram."""

    successes: Sample
    failures: Sample
    timed: _TimedMark | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """Up to where each pod is in the books."""

    marks: Mapping[str, _Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """Requests answered or failed since the last tick, and those answered within the threshold.

    Neither is whole, since the share in time may be an estimate. `signal` tells what the good ones
    rest on: an estimate if one pod's do, None where nothing was answered.
    """

    requests: float = 0.0
    good: float = 0.0
    signal: LatencySignal | None = None

    def plus(self, other: "Entry") -> "Entry":
        return Entry(
            self.requests + other.requests,
            self.good + other.good,
            _weaker(self.signal, other.signal),
        )


def _weaker(one: LatencySignal | None, other: LatencySignal | None) -> LatencySignal | None:
    return LatencySignal.SUMMARY if LatencySignal.SUMMARY in (one, other) else one or other


def account(
    ledger: Ledger,
    samples: Mapping[str, PodSamples],
    pods: Sequence[PodSeen],
    threshold_seconds: float,
) -> tuple[Ledger, Entry]:
    """The books after this tick, and what is new in them.

    A pod is counted from the first sample that the process saw, and from 0 where it saw its
    counters begin (`PodSeen.counted_since`). Where answers came but no latency is told, they wait
    for the next tick.
    """
    marks: dict[str, _Mark] = {}
    total = Entry()
    for pod in pods:
        mark = ledger.marks.get(pod.name)
        if mark is not None:
            marks[pod.name] = mark
        seen = samples.get(pod.name)
        if seen is None or seen.twice:
            continue
        if mark is None and math.isfinite(pod.counted_since):
            begun = _TimedMark(threshold_seconds, _BEGINNING, _BEGINNING)
            mark = _Mark(_BEGINNING, _BEGINNING, begun)
        step = _step(mark, seen, threshold_seconds)
        if step is None:
            continue
        marks[pod.name], entry = step
        total = total.plus(entry)
    return Ledger(marks), total


def _step(
    mark: _Mark | None, seen: PodSamples, threshold_seconds: float
) -> tuple[_Mark, Entry] | None:
    successes, failures = counted(seen.successes), counted(seen.failures)
    if not (successes and failures):
        return None
    newest = _Mark(successes[-1], failures[-1], _timed_mark(seen, threshold_seconds))
    if mark is None:
        return newest, Entry()
    answered = _since(successes, mark.successes)
    failed = _since(failures, mark.failures)
    if answered == 0:
        return newest, Entry(failed, 0.0)
    in_time = _counted_share(mark, seen, threshold_seconds)
    if in_time is not None:
        return newest, Entry(answered + failed, answered * in_time, LatencySignal.HISTOGRAM)
    spread = distribution(seen.quantiles)
    if spread is None:
        return None
    share = spread.share_within(threshold_seconds)
    return newest, Entry(answered + failed, answered * share, LatencySignal.SUMMARY)


def _timed_mark(seen: PodSamples, threshold_seconds: float) -> _TimedMark | None:
    found = timed(seen, threshold_seconds)
    if found is None:
        return None
    return _TimedMark(threshold_seconds, found.total[-1], found.within[-1])


def _counted_share(mark: _Mark, seen: PodSamples, threshold_seconds: float) -> float | None:
    """The share in time of what the histogram counted since the mark; None where it does not tell.

    A share and not the count: the histogram may count what the scaler takes off the requests, which
    is Triton's own warm-up.
    """
    found, before = timed(seen, threshold_seconds), mark.timed
    if found is None or before is None or before.threshold_seconds != threshold_seconds:
        return None
    total = _since(found.total, before.total)
    return min(1.0, _since(found.within, before.within) / total) if total > 0 else None


def _since(samples: tuple[Sample, ...], mark: Sample) -> float:
    """The increase since a sample that is in the books.

    That may have been garbage, of which only the samples after it told: then it is none of
    `samples` any more, and what followed did not begin anew.
    """
    known = [value for at, value in samples if at <= mark[0]]
    return increase(tuple(s for s in samples if s[0] > mark[0]), known[-1] if known else mark[1])
