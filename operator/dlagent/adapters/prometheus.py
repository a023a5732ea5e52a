"""Prometheus: every query of the operator, and its answers as plain values.

Fits `reconcile.ports.MetricsSource` by shape. All agents are asked for in one query each time. What
goes wrong is an answer as well (`NoData`): nothing here raises.
"""

import asyncio
import json
import logging
import math
import ssl
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiohttp

from dlagent.adapters import triton_series
from dlagent.domain.scaling.budget import BIN_SECONDS, Budget, Spending
from dlagent.domain.scaling.history import DAY_STEPS, KEPT_STEPS, STEP_SECONDS, by_minute
from dlagent.domain.scaling.past import Past
from dlagent.domain.scaling.samples import (
    STALE_INTERVALS,
    WINDOW_INTERVALS,
    Snapshot,
    SnapshotReading,
)
from dlagent.domain.scaling.slo import SloWindow
from dlagent.domain.scaling.values import NoData

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
        counters = f"{{{triton_series.counter_matchers(thresholds)},{self._matchers}}}[{window}s]"
        latencies = f"last_over_time({triton_series.SUMMARY}{{{self._matchers}}}[{fresh}s])"
        try:
            # One after the other: with thousands of pods an answer is megabytes.
            counted = await self._ask(counters, at, triton_series.counter)
            shares = await self._ask(latencies, at, triton_series.quantile)
            return Snapshot(at, triton_series.pods(counted, shares))
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
