"""From raw samples and the pods of one agent to what a decision is made of.

`signals` is called by dlagent.domain.scaling.look, at each tick and in replays. One pod with
garbage or without samples does not move the whole: the others are scaled up in its place, and
`missing` names it, so that nothing is lowered on half of the truth.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean

from dlagent.domain.scaling.births import BEFORE
from dlagent.domain.scaling.latency import Mixture, distribution
from dlagent.domain.scaling.samples import (
    FASTEST_ROWS,
    STALE_INTERVALS,
    PodSamples,
    Sample,
    for_a_rate,
    increase,
    usable,
)
from dlagent.domain.scaling.values import Measured, NoData, NoTraffic, Reading

_NOTHING_ANSWERED = NoData("nothing was answered lately")
# Of a response cache: what it has today is asked anew tomorrow, and a new pod's is empty. So no
# replica is taken to answer more than ten times what it computes.
_FEWEST_COMPUTED = 0.1
# A scrape takes its time, and queries are not made in step with it.
_OVERDUE_INTERVALS = 1.25


class Supply(Enum):
    """What a pod is worth to the load."""

    READY = "it answers"
    STARTING = "it is coming up"
    STUCK = "it ends again and again, or is overdue"
    UNSCHEDULABLE = "no node takes it"
    LEAVING = "it is being removed"


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A pod as the API has it; times are Unix seconds.

    `counted_since`: the time of its first sample, where its counters are known to have begun at 0
    (`births`). `serving` is False for a pod of a revision that is coming or going: what it answers
    counts, and what it could do does not.
    """

    name: str
    supply: Supply
    created: float
    ready_since: float | None = None
    counted_since: float = BEFORE
    serving: bool = True


@dataclass(frozen=True, slots=True)
class PodLoad:
    """One pod's part: requests/s over the last so many seconds, and requests that wait."""

    pod: str
    rate: float
    seconds: float
    waiting: float


@dataclass(frozen=True, slots=True)
class Signals:
    """The load of one agent now. `arrivals` in requests/s, `backlog` in requests that wait.

    `replicas` is how many are asked for so far, whatever became of them.
    `counted`: how many requests `arrivals` rests on. `inferences_per_request`: how many rows a
    request has on average, those that a response cache answers having none. `latency` is an
    estimate of all pods together. `overdue`: the next sample of some pod should be there by now.
    `missing` are pods that answer but of which there is no fresh sample. `loads` are of those that
    answered all the time. `requests` were answered or failed since the tick before, `missed` of
    them not in time.
    """

    arrivals: Reading
    replicas: int
    backlog: float = 0.0
    counted: float = 0.0
    inferences_per_request: float = 1.0
    latency: Mixture | NoData = _NOTHING_ANSWERED
    pods: tuple[PodSeen, ...] = ()
    overdue: bool = False
    missing: tuple[str, ...] = ()
    loads: tuple[PodLoad, ...] = ()
    requests: float = 0.0
    missed: float = 0.0

    @property
    def latency_missing(self) -> bool:
        """Requests arrive, and no pod tells how long its answers took."""
        return isinstance(self.arrivals, Measured) and isinstance(self.latency, NoData)

    def count(self, supply: Supply) -> int:
        """Pods of the revision that serves."""
        return sum(pod.supply is supply and pod.serving for pod in self.pods)


@dataclass(frozen=True, slots=True)
class _Flow:
    """One pod's part in the window; `first` is None where its counters began in it, at `born`.

    `inferences` were those of `computed` requests.
    """

    arrived: float
    answered: float
    computed: float
    inferences: float
    waiting: float
    first: float | None
    last: float
    born: float

    def share_until(self, at: float) -> float:
        """Which share of what arrived since it was born had arrived by then, if evenly."""
        if self.last <= self.born:
            return 1.0
        return min(1.0, max(0.0, (at - self.born) / (self.last - self.born)))


def signals(
    samples: Mapping[str, PodSamples],
    pods: Sequence[PodSeen],
    replicas: int,
    now: float,
    interval_seconds: float,
    cached: bool = False,
) -> Signals:
    """`samples` by pod name; `interval_seconds` is Prometheus' scrape interval.

    `cached`: the pods have a response cache. What it answers is a request and no inference, and
    does not wait: each request that waits stands for all that arrived with it.
    """
    flows: dict[str, _Flow] = {}
    for pod in pods:
        flow = _flow(samples.get(pod.name), pod, now, interval_seconds)
        if flow is not None:
            flows[pod.name] = flow
    expected = [pod.name for pod in pods if _is_expected(pod, now, interval_seconds)]
    missing = tuple(name for name in expected if name not in flows)
    inferences = _inferences_per_request(flows.values(), _FEWEST_COMPUTED if cached else 1.0)
    return Signals(
        arrivals=_arrivals(flows, len(expected), missing, interval_seconds),
        replicas=replicas,
        backlog=sum(flow.waiting for flow in flows.values()) / min(1.0, inferences),
        counted=sum(flow.arrived for flow in flows.values()),
        inferences_per_request=inferences,
        latency=_latency(samples, flows),
        pods=tuple(pods),
        overdue=any(
            now - flows[name].last > _OVERDUE_INTERVALS * interval_seconds
            for name in expected
            if name in flows
        ),
        missing=missing,
        loads=_loads(pods, flows),
    )


def _loads(pods: Sequence[PodSeen], flows: Mapping[str, _Flow]) -> tuple[PodLoad, ...]:
    found = []
    for pod in pods:
        flow = flows.get(pod.name)
        answers = pod.serving and pod.supply is Supply.READY
        if answers and flow is not None and flow.first is not None:
            seconds = flow.last - flow.first
            found.append(PodLoad(pod.name, flow.arrived / seconds, seconds, flow.waiting))
    return tuple(found)


def _is_expected(pod: PodSeen, now: float, interval: float) -> bool:
    """Prometheus has had the time to see it."""
    ready = pod.serving and pod.supply is Supply.READY and pod.ready_since is not None
    return ready and now - (pod.ready_since or now) > STALE_INTERVALS * interval


def _flow(
    pod_samples: PodSamples | None, pod: PodSeen, now: float, interval: float
) -> _Flow | None:
    if pod_samples is None or pod_samples.twice:
        return None
    successes = _fresh(for_a_rate(pod_samples.successes), now, interval)
    failures = _fresh(for_a_rate(pod_samples.failures), now, interval)
    pending = _fresh(usable(pod_samples.pending), now, interval)
    rows = _fresh(for_a_rate(pod_samples.inferences, FASTEST_ROWS), now, interval)
    if not (successes and failures and pending and rows) or rows[-1][0] != successes[-1][0]:
        return None
    first = successes[0][0]
    born = math.isfinite(pod.counted_since) and first <= pod.counted_since
    if not born and successes[-1][0] <= max(first, rows[0][0]):  # no time to measure over
        return None
    start = 0.0 if born else None
    waited = 0.0 if born else pending[0][1]
    answered = increase(successes, start)
    arrived = answered + increase(failures, start) + pending[-1][1] - waited
    computed, inferences = _together(successes, rows, start)
    return _Flow(
        arrived=max(0.0, arrived),
        answered=answered,
        computed=computed,
        inferences=inferences,
        waiting=pending[-1][1],
        first=None if born else first,
        last=successes[-1][0],
        born=pod.created if pod.ready_since is None else pod.ready_since,
    )


def _together(
    successes: tuple[Sample, ...], rows: tuple[Sample, ...], start: float | None
) -> tuple[float, float]:
    """How much both rose over the same time."""
    if successes[0][0] == rows[0][0]:
        return increase(successes, start), increase(rows, start)
    first = max(successes[0][0], rows[0][0])
    requests, inferences = (tuple(s for s in each if s[0] >= first) for each in (successes, rows))
    return increase(requests), increase(inferences)


def _fresh(samples: tuple[Sample, ...], now: float, interval: float) -> tuple[Sample, ...]:
    stale = not samples or now - samples[-1][0] > STALE_INTERVALS * interval
    return () if stale else samples


def _arrivals(
    flows: Mapping[str, _Flow], expected: int, missing: tuple[str, ...], interval: float
) -> Reading:
    if not flows:
        if expected:
            return NoData("Prometheus has no fresh sample of any pod that answers")
        return NoData("no pod has been measured yet")
    if 2 * len(missing) > expected:
        return NoData("Prometheus has no fresh sample of most pods that answer")
    rate = _rate(list(flows.values()), interval)
    rate *= expected / (expected - len(missing)) if missing else 1.0
    last = max(flow.last for flow in flows.values())
    return Measured(rate, last) if rate > 0 else NoTraffic(last)


def _rate(flows: Sequence[_Flow], interval: float) -> float:
    """Requests/s of all pods.

    Each by its own samples: pods are scraped at different moments, and not all of them always; for
    the time from the first sample of any to the last of any, the sum would be too low. A new pod
    took its load over from the others, so their time is its own too unless it is older, and what
    it got after they were scraped last is not counted twice.
    """
    old = [flow for flow in flows if flow.first is not None]
    new = [flow for flow in flows if flow.first is None]
    if not old:
        last = max(flow.last for flow in new)
        first = min(min(flow.born for flow in new), last - interval)
        return sum(flow.arrived for flow in new) / (last - first)
    until = fmean(flow.last for flow in old)
    seconds = fmean(flow.last - flow.first for flow in old if flow.first is not None)
    rate = sum(flow.arrived / (flow.last - flow.first) for flow in old if flow.first is not None)
    return rate + sum(
        flow.arrived * flow.share_until(until) / max(seconds, until - flow.born) for flow in new
    )


def _inferences_per_request(flows: Iterable[_Flow], fewest: float) -> float:
    computed = inferences = 0.0
    for flow in flows:
        computed += flow.computed
        inferences += flow.inferences
    return max(fewest, inferences / computed) if computed >= 1 else 1.0


def _latency(samples: Mapping[str, PodSamples], flows: Mapping[str, _Flow]) -> Mixture | NoData:
    parts = []
    for name, flow in flows.items():
        found = distribution(samples[name].quantiles)
        if found is not None and flow.answered > 0:
            parts.append((flow.answered, found))
    return Mixture(tuple(parts)) if parts else _NOTHING_ANSWERED
