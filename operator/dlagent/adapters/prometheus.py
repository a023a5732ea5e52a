"""Prometheus: every query of the operator, and its answers as plain values.

Fits `reconcile.ports.MetricsSource` by shape. All agents are asked for in one query each time. What
goes wrong is an answer as well (`NoData`): nothing here raises.
"""

import asyncio
import json
import logging
import math
import ssl
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import aiohttp

from dlagent.domain.artifact.latency_histogram import FAMILY
from dlagent.domain.artifact.layout import MEMBERS
from dlagent.domain.scaling.budget import BIN_SECONDS, Budget, Spending
from dlagent.domain.scaling.history import DAY_STEPS, KEPT_STEPS, STEP_SECONDS, by_minute
from dlagent.domain.scaling.past import Past
from dlagent.domain.scaling.samples import (
    STALE_INTERVALS,
    WINDOW_INTERVALS,
    PodName,
    PodSamples,
    Snapshot,
    SnapshotReading,
)
from dlagent.domain.scaling.slo import SloWindow
from dlagent.domain.scaling.values import NoData

# Counters and a gauge of Triton, each a field of PodSamples.
_FIELDS = {
    "nv_inference_request_success": "successes",
    "nv_inference_request_failure": "failures",
    "nv_inference_pending_request_count": "pending",
    "nv_inference_count": "inferences",
}
# An ensemble has no queue: what waits, waits before its members, and its own gauge says 0.
_OF_MEMBERS = {"pending"}
_SUMMARY = "nv_inference_request_summary_us"
_MICROSECONDS = 1e-6
# Counters too, one for each edge.
_BUCKET = f"{FAMILY}_bucket"
_EDGE_LABEL = "le"
_MILLISECONDS = 1e-3

_ARRIVALS = "dlagent_arrival_requests_per_second"  # the operator's own
# The recording rules of charts/dlagent-operator/files/rules.yaml: what came in the five minutes
# before, written down each minute.
_RECORDED_REQUESTS = "dlagent:slo_requests:increase5m"
_RECORDED_GOOD = "dlagent:slo_good_requests:increase5m"
_RECORDED_EVERY_SECONDS = 60
_RECORDED_OVER_MINUTES = 5

log = logging.getLogger(__name__)

Json = dict[str, Any]
AgentName = tuple[str, str]  # namespace and name
_T = TypeVar("_T")


class Connection(Protocol):
    """Where Prometheus is and how to ask it; dlagent.runtime.settings fits by shape."""

    @property
    def url(self) -> str | None: ...
    @property
    def scrape_interval_seconds(self) -> int: ...
    @property
    def timeout_seconds(self) -> int: ...
    @property
    def bearer_token_file(self) -> Path | None: ...
    @property
    def ca_file(self) -> Path | None: ...


# What reading JSON of another shape than Prometheus documents can raise; a number of hundreds of
# digits is none for float.
_NOT_AS_DOCUMENTED = (
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


class _UnansweredError(Exception):
    """No usable answer; the message says why."""


class Prometheus:
    """Queries of one Prometheus. `namespaces`: those to ask for; none means all."""

    def __init__(self, connection: Connection, namespaces: list[str]) -> None:
        self._connection = connection
        matchers = ['dlagent!=""', 'pod!=""']
        if namespaces:
            matchers.append(f'namespace=~"{"|".join(namespaces)}"')
        self._matchers = ",".join(matchers)
        self._session: aiohttp.ClientSession | None = None

    async def snapshot(self, at: float, thresholds: Collection[float]) -> SnapshotReading:
        """What is known of all Triton pods at a time (Unix seconds).

        Of histograms no more is read than all answers and those within `thresholds`, in seconds.
        """
        interval = self._connection.scrape_interval_seconds
        window, fresh = WINDOW_INTERVALS * interval, round(STALE_INTERVALS * interval)
        names = "|".join([*_FIELDS, _BUCKET])
        edges = f'{_EDGE_LABEL}=~"{_edges(thresholds)}"'
        counters = f'{{__name__=~"{names}",{edges},{self._matchers}}}[{window}s]'
        latencies = f"last_over_time({_SUMMARY}{{{self._matchers}}}[{fresh}s])"
        try:
            # One after the other: with thousands of pods an answer is megabytes.
            found = await self._ask(counters, at, _counter)
            fields, twice = _fields([each for each in found if each.field != _BUCKET])
            buckets, doubled = _buckets([each for each in found if each.field == _BUCKET])
            points, again = _points(await self._ask(latencies, at, _quantile))
            return Snapshot(at, _pods(fields, points, buckets, twice | again | doubled))
        except _UnansweredError as error:
            return NoData(str(error))
        except _NOT_AS_DOCUMENTED as error:
            return _unreadable(error)

    async def slo_windows(self, at: float, days: int) -> dict[AgentName, SloWindow] | NoData:
        """What is recorded of each agent in the days before; agents without a record are absent."""
        asked = (
            f"sum_over_time({_RECORDED_REQUESTS}[{days}d])",
            f"sum_over_time({_RECORDED_GOOD}[{days}d])",
            f"count_over_time({_RECORDED_REQUESTS}[{days}d])",
        )
        try:
            requests, good, records = [
                _numbers(found)
                for found in await asyncio.gather(
                    *(self._ask(query, at, _recorded) for query in asked)
                )
            ]
        except _UnansweredError as error:
            return NoData(str(error))
        except _NOT_AS_DOCUMENTED as error:
            return _unreadable(error)
        return {
            agent: SloWindow(
                requests[agent] / _RECORDED_OVER_MINUTES,
                good.get(agent, 0.0) / _RECORDED_OVER_MINUTES,
                records[agent] * _RECORDED_EVERY_SECONDS,
            )
            for agent in requests.keys() & records.keys()
        }

    async def past(self, agent: AgentName, at: float) -> Past | NoData:
        """What is recorded of one agent: its load by minute, and the requests of the last day."""
        namespace, name = agent
        its = f'agent_namespace="{namespace}",agent="{name}"'
        days, step = KEPT_STEPS // DAY_STEPS, f"{STEP_SECONDS:.0f}s"
        rates = f"max(avg_over_time({_ARRIVALS}{{{its}}}[{step}]))[{days}d:{step}]"
        asked = [rates] + [
            f"max(sum_over_time({record}{{{its}}}[{BIN_SECONDS:.0f}s]))[1d:{BIN_SECONDS:.0f}s]"
            for record in (_RECORDED_REQUESTS, _RECORDED_GOOD)
        ]
        try:
            arrived, requests, good = [
                dict(series[0]) if series else {}
                for series in await asyncio.gather(
                    *(self._ask(query, at, _values) for query in asked)
                )
            ]
        except _UnansweredError as error:
            return NoData(str(error))
        except _NOT_AS_DOCUMENTED as error:
            return _unreadable(error)
        spendings = [
            _spending(end, count, good.get(end, 0.0))
            for end, count in sorted(requests.items())
            if count > 0
        ]
        return Past(by_minute(arrived), Budget(tuple(spendings)))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask(self, query: str, at: float, read: Callable[[Json], _T | None]) -> list[_T]:
        """The result of an instant query, each series as `read` returns it; None is left out."""
        if not self._connection.url:
            raise _UnansweredError(
                "no Prometheus is named (prometheus.url in the operator's settings)"
            )
        url = f"{self._connection.url.rstrip('/')}/api/v1/query"
        seconds = self._connection.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                session = self._open()
                form = {"query": query, "time": f"{at:.3f}", "timeout": f"{seconds}s"}
                async with session.post(url, data=form, headers=self._headers()) as answer:
                    body = await answer.read()
                    status = answer.status
        except TimeoutError as error:
            raise self._unanswered(f"nothing within {seconds} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a token's bytes
            raise self._unanswered(str(error) or type(error).__name__) from error
        return _result(status, body, read)

    def _unanswered(self, details: str) -> _UnansweredError:
        """One text for all that comes and goes: it stands in the status of every agent."""
        log.warning("Prometheus at %s does not answer: %s", self._connection.url, details)
        return _UnansweredError("Prometheus does not answer (the operator's log says why)")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            ca_file = self._connection.ca_file
            context = ssl.create_default_context(cafile=ca_file) if ca_file else True
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
        return self._session

    def _headers(self) -> dict[str, str]:
        token_file = self._connection.bearer_token_file
        if token_file is None:
            return {}
        return {"Authorization": f"Bearer {token_file.read_text(encoding='utf-8').strip()}"}


def _unreadable(error: Exception) -> NoData:
    log.warning("Prometheus' answer cannot be read: %r", error)
    return NoData("Prometheus gives answers that cannot be read (the operator's log says why)")


def _result(status: int, body: bytes, read: Callable[[Json], _T | None]) -> list[_T]:
    """What `read` makes of each series as soon as it is parsed; None is left out.

    Not of the whole at once: labels take ten times what is made of them.
    """
    found: list[_T] = []

    def reduce(parsed: Json) -> object:
        if not isinstance(parsed.get("metric"), dict):  # a string where it is a label's name
            return parsed
        made = read(parsed)
        if made is not None:
            found.append(made)
        return _SERIES

    try:
        answer = json.loads(body, object_hook=reduce)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise _UnansweredError(f"Prometheus answered HTTP {status} without JSON") from None
    if not isinstance(answer, dict) or answer.get("status") != "success":
        said = answer.get("error") if isinstance(answer, dict) else None
        raise _UnansweredError(f"Prometheus answered HTTP {status}: {said or 'no result'}")
    result = (answer.get("data") or {}).get("result")
    if not isinstance(result, list) or any(part is not _SERIES for part in result):
        raise _UnansweredError("Prometheus answered without a list of series")
    return found


_SERIES = object()  # in place of a series that was read
_Samples = dict[float, float]  # values by time


class _Counter(NamedTuple):
    """One counter of a pod, or a part of it, each scraped at the same time.

    Failures are counted by reason; what waits before an ensemble's members, by member; a histogram
    by the ends of its buckets.
    """

    pod: PodName
    field: str
    part: str
    samples: _Samples


class _Quantile(NamedTuple):
    pod: PodName
    share: float
    seconds: float


def _counter(series: Json) -> _Counter | None:
    labels = series["metric"]
    field = _FIELDS.get(labels["__name__"], _BUCKET)
    if field == _BUCKET and _EDGE_LABEL not in labels:  # another program's of the same name
        return None
    member = labels.get("model") if field in _OF_MEMBERS else None
    if not _is_of_agent(labels) and member not in MEMBERS:
        return None
    samples = {float(at): float(value) for at, value in series["values"]}
    part = labels[_EDGE_LABEL] if field == _BUCKET else labels.get("reason") or member or ""
    return _Counter(_pod(labels), field, part, samples)


def _edges(thresholds: Collection[float]) -> str:
    """A pattern of their label, none for what is no histogram; Prometheus 3 writes 500 as 500.0."""
    milliseconds = sorted({f"{threshold / _MILLISECONDS:.10g}" for threshold in thresholds})
    ends = "".join(f"|{edge.replace('.', '[.]')}([.]0)?" for edge in milliseconds)
    return f"|[+]Inf{ends}"


def _quantile(series: Json) -> _Quantile | None:
    labels = series["metric"]
    if not _is_of_agent(labels):
        return None
    try:
        share = float(labels.get("quantile", ""))
    except ValueError:  # another program's metric of the same name
        return None
    return _Quantile(_pod(labels), share, float(series["value"][1]) * _MICROSECONDS)


def _is_of_agent(labels: Json) -> bool:
    """Whether it is of the model that is the agent, not of a part of it."""
    return bool(labels.get("model") == labels["dlagent"])


def _pod(labels: Json) -> PodName:
    return labels.get("namespace", ""), labels["pod"]


def _fields(
    counters: list[_Counter],
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
    counters: list[_Counter],
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
    quantiles: list[_Quantile],
) -> tuple[dict[PodName, dict[float, float]], set[PodName]]:
    """The latencies of each pod by share, in seconds, and pods that have one of them twice."""
    points: dict[PodName, dict[float, float]] = defaultdict(dict)
    twice: set[PodName] = set()
    for pod, share, seconds in quantiles:
        if share in points[pod]:
            twice.add(pod)
        points[pod][share] = seconds
    return points, twice


def _pods(
    fields: dict[PodName, dict[str, _Samples]],
    points: dict[PodName, dict[float, float]],
    buckets: dict[PodName, dict[float, _Samples]],
    twice: set[PodName],
) -> dict[PodName, PodSamples]:
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


def _recorded(series: Json) -> tuple[AgentName, float]:
    labels = series["metric"]
    agent = labels.get("agent_namespace", ""), labels.get("agent", "")
    return agent, float(series["value"][1])


def _spending(end: float, requests: float, good: float) -> Spending:
    begins, missed = end - BIN_SECONDS, max(0.0, requests - good)
    return Spending(begins, requests / _RECORDED_OVER_MINUTES, missed / _RECORDED_OVER_MINUTES)


def _values(series: Json) -> list[tuple[float, float]]:
    """Times and values, without NaN."""
    found = [(float(at), float(value)) for at, value in series["values"]]
    return [(at, value) for at, value in found if math.isfinite(value)]


def _numbers(recorded: list[tuple[AgentName, float]]) -> dict[AgentName, float]:
    return {agent: value for agent, value in recorded if value >= 0}  # not NaN
