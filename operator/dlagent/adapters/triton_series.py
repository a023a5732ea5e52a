"""Triton's series in Prometheus: which ones to ask for, and what they say of each pod.

Called by dlagent.adapters.prometheus. The readers take one series of Prometheus' answer, and raise
what reading another shape than it documents raises: KeyError, TypeError, ValueError and others.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import Any, NamedTuple

from dlagent.domain.artifact.latency_histogram import FAMILY
from dlagent.domain.artifact.layout import MEMBERS
from dlagent.domain.scaling.samples import PodName, PodSamples

# Counters and a gauge of Triton, each a field of PodSamples.
_FIELDS = {
    "nv_inference_request_success": "successes",
    "nv_inference_request_failure": "failures",
    "nv_inference_pending_request_count": "pending",
    "nv_inference_count": "inferences",
}
# An ensemble has no queue: what waits, waits before its members, and its own gauge says 0.
_OF_MEMBERS = {"pending"}
SUMMARY = "nv_inference_request_summary_us"
_MICROSECONDS = 1e-6
# Counters too, one for each edge.
_BUCKET = f"{FAMILY}_bucket"
_EDGE_LABEL = "le"
_MILLISECONDS = 1e-3

Json = dict[str, Any]
_Samples = dict[float, float]  # values by time


class Counter(NamedTuple):
    """One counter of a pod, or a part of it, each scraped at the same time.

    Failures are counted by reason; what waits before an ensemble's members, by member; a histogram
    by the ends of its buckets.
    """

    pod: PodName
    field: str
    part: str
    samples: _Samples


class Quantile(NamedTuple):
    pod: PodName
    share: float
    seconds: float


def counter_matchers(thresholds: Collection[float]) -> str:
    """Matchers of the counters and the gauge, and of histograms no more than all answers and those
    within `thresholds`, in seconds.
    """
    names = "|".join([*_FIELDS, _BUCKET])
    return f'__name__=~"{names}",{_EDGE_LABEL}=~"{_edges(thresholds)}"'


def _edges(thresholds: Collection[float]) -> str:
    """A pattern of their label, none for what is no histogram; Prometheus 3 writes 500 as 500.0."""
    milliseconds = sorted({f"{threshold / _MILLISECONDS:.10g}" for threshold in thresholds})
    ends = "".join(f"|{edge.replace('.', '[.]')}([.]0)?" for edge in milliseconds)
    return f"|[+]Inf{ends}"


def counter(series: Json) -> Counter | None:
    """One of the series that `counter_matchers` asks for; None where it is not of an agent."""
    labels = series["metric"]
    field = _FIELDS.get(labels["__name__"], _BUCKET)
    if field == _BUCKET and _EDGE_LABEL not in labels:  # another program's of the same name
        return None
    member = labels.get("model") if field in _OF_MEMBERS else None
    if not _is_of_agent(labels) and member not in MEMBERS:
        return None
    samples = {float(at): float(value) for at, value in series["values"]}
    part = labels[_EDGE_LABEL] if field == _BUCKET else labels.get("reason") or member or ""
    return Counter(_pod(labels), field, part, samples)


def quantile(series: Json) -> Quantile | None:
    """One of the series of SUMMARY; None where it is not of an agent."""
    labels = series["metric"]
    if not _is_of_agent(labels):
        return None
    try:
        share = float(labels.get("quantile", ""))
    except ValueError:  # another program's metric of the same name
        return None
    return Quantile(_pod(labels), share, float(series["value"][1]) * _MICROSECONDS)


def _is_of_agent(labels: Json) -> bool:
    """Whether it is of the model that is the agent, not of a part of it."""
    return bool(labels.get("model") == labels["dlagent"])


def _pod(labels: Json) -> PodName:
    return labels.get("namespace", ""), labels["pod"]


def _fields(
    counters: list[Counter],
) -> tuple[dict[PodName, dict[str, _Samples]], set[PodName]]:
    """The counters of each pod by field of PodSamples, and pods that have one of them twice."""
    fields: dict[PodName, dict[str, _Samples]] = defaultdict(dict)
    known: set[tuple[PodName, str, str]] = set()
    twice: set[PodName] = set()
    for pod, field, part, samples in counters:
        if (pod, field, part) in known:
            twice.add(pod)
        known.add((pod, field, part))
        sums = fields[pod].setdefault(field, {})
        for at, value in samples.items():
            sums[at] = sums.get(at, 0.0) + value
    return fields, twice


def _buckets(
    counters: list[Counter],
) -> tuple[dict[PodName, dict[float, _Samples]], set[PodName]]:
    """Each pod's histogram by the end of the bucket in seconds, and pods that have one twice."""
    buckets: dict[PodName, dict[float, _Samples]] = defaultdict(dict)
    twice: set[PodName] = set()
    for counter in counters:
        edge = float(counter.part) * _MILLISECONDS
        if edge in buckets[counter.pod]:
            twice.add(counter.pod)
        buckets[counter.pod][edge] = counter.samples
    return buckets, twice


def _points(
    quantiles: list[Quantile],
) -> tuple[dict[PodName, dict[float, float]], set[PodName]]:
    """The latencies of each pod by share, in seconds, and pods that have one of them twice."""
    points: dict[PodName, dict[float, float]] = defaultdict(dict)
    twice: set[PodName] = set()
    for pod, share, seconds in quantiles:
        if share in points[pod]:
            twice.add(pod)
        points[pod][share] = seconds
    return points, twice


def pods(counters: list[Counter], quantiles: list[Quantile]) -> dict[PodName, PodSamples]:
    """Each pod's samples, by its namespace and name."""
    fields, twice = _fields([each for each in counters if each.field != _BUCKET])
    buckets, doubled = _buckets([each for each in counters if each.field == _BUCKET])
    points, again = _points(quantiles)
    twice |= again | doubled
    return {
        pod: PodSamples(
            **{field: tuple(sorted(sums.items())) for field, sums in by_field.items()},
            quantiles=tuple(sorted(points.get(pod, {}).items())),
            buckets=tuple(
                (edge, tuple(samples.items()))
                for edge, samples in sorted(buckets.get(pod, {}).items())
            ),
            twice=pod in twice,
        )
        for pod, by_field in fields.items()
    }
