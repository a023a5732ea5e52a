"""Counts how many requests were answered, and how many of them in time: the SLO's bookkeeping.

`account` is called at each tick by dlagent.reconcile.scaling with the state of the tick before. Its
sums become the operator's counters dlagent_slo_requests_total and dlagent_slo_good_requests_total,
from which Prometheus has the share over the whole window: a restart loses what happens in it, and
nothing of the past. A failed request is a missed one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dlagent.domain.scaling.latency import distribution
from dlagent.domain.scaling.samples import PodSamples, Sample, increase, usable
from dlagent.domain.scaling.signals import PodSeen


@dataclass(frozen=True, slots=True)
class _Mark:
    """The last sample of a pod that is in the books."""

    successes: Sample
    failures: Sample


@dataclass(frozen=True, slots=True)
class Ledger:
    """Up to where each pod is in the books."""

    marks: Mapping[str, _Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """Requests answered or failed since the last tick, and those answered within the threshold.

    Neither is whole, since the share in time is an estimate.
    """

    requests: float = 0.0
    good: float = 0.0


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
    requests = good = 0.0
    for pod in pods:
        mark = ledger.marks.get(pod.name)
        if mark is not None:
            marks[pod.name] = mark
        seen = samples.get(pod.name)
        if seen is None or seen.twice:
            continue
        if mark is None and math.isfinite(pod.counted_since):
            mark = _Mark((-math.inf, 0.0), (-math.inf, 0.0))
        step = _step(mark, seen, threshold_seconds)
        if step is None:
            continue
        marks[pod.name], entry = step
        requests += entry.requests
        good += entry.good
    return Ledger(marks), Entry(requests, good)


def _step(
    mark: _Mark | None, seen: PodSamples, threshold_seconds: float
) -> tuple[_Mark, Entry] | None:
    successes, failures = usable(seen.successes), usable(seen.failures)
    if not (successes and failures):
        return None
    newest = _Mark(successes[-1], failures[-1])
    if mark is None:
        return newest, Entry()
    answered = _since(successes, mark.successes)
    failed = _since(failures, mark.failures)
    if answered == 0:
        return newest, Entry(failed, 0.0)
    spread = distribution(seen.quantiles)
    if spread is None:
        return None
    return newest, Entry(answered + failed, answered * spread.share_within(threshold_seconds))


def _since(samples: tuple[Sample, ...], mark: Sample) -> float:
    return increase(tuple(s for s in samples if s[0] > mark[0]), mark[1])
