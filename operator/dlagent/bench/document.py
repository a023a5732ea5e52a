"""The JSON document of `dlagent bench --json`, for programs; its fields never change their meaning.

A figure that does not exist, such as a percentile of a second without answers, is null; NaN is
refused here.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from dlagent.bench.result import Percentiles, Summary, Timeline

VERSION: Literal["dlagent.io/bench/v1"] = "dlagent.io/bench/v1"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, from_attributes=True)


class Schedule(_Part):
    """What was asked for."""

    shape: str
    trace: str | None
    low_per_second: float
    high_per_second: float
    duration_seconds: float
    arrivals: str
    seed: int


class Promise(_Part):
    """The SLO that the figures are held against."""

    threshold_seconds: float
    objective_percent: float | None
    """The share that must be within the threshold; null where it is not known."""


class RequestCounts(_Part):
    """All requests that were due."""

    due: int
    answered: int
    failed: int
    unfinished: int
    """Under way when the load was stopped: neither answered nor failed."""
    failures: dict[str, int]
    """How many failed, by kind."""


class Latency(_Part):
    """From when a request was due until it was answered; of the answered ones, in seconds."""

    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


class Generator(_Part):
    """How well the generator itself kept up."""

    late_p99_seconds: float
    late_max_seconds: float
    late_requests: int
    """Started more than 10 ms after they were due."""
    kept_up: bool
    """False: the latencies are partly the generator's own."""
    cpu_share: float
    """Of one core."""
    connections: int
    """How many requests could be in flight."""
    fresh_connections: bool
    timeout_seconds: float


class Second(_Part):
    """One second of the run, counted from its beginning."""

    second: int
    offered: int
    """Requests due in it."""
    answered: int
    """Answers that came in it."""
    failed: int
    """Of the requests due in it."""
    p50_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None
    """Of the requests due in it, like the share."""
    within_slo_percent: float | None


class Document(_Part):
    """One run."""

    version: Literal["dlagent.io/bench/v1"] = VERSION
    agent: str
    url: str
    began: datetime
    seconds: float
    """Until the last request ended."""
    interrupted: bool
    simulated_accelerator: str | None
    """What it simulates, where the figures are not those of real hardware."""
    schedule: Schedule
    requests: RequestCounts
    offered_per_second: float
    answered_per_second: float
    """Answers that came while requests were due."""
    latency_seconds: Latency
    slo: Promise | None
    within_slo_percent: float | None
    """Of all requests that ended; a failed one is not within it."""
    generator: Generator
    timeline: list[Second]


def counts(summary: Summary) -> RequestCounts:
    return RequestCounts.model_validate(summary)


def latency(found: Percentiles) -> Latency:
    return Latency.model_validate(found)


def percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def seconds(found: Timeline) -> list[Second]:
    """A timeline of steps of one second."""
    return [
        Second(
            second=number,
            offered=offered,
            answered=answered,
            failed=failed,
            p50_seconds=p50,
            p95_seconds=p95,
            p99_seconds=p99,
            within_slo_percent=percent(share),
        )
        for number, (offered, answered, failed, p50, p95, p99, share) in enumerate(
            zip(
                found.offered.tolist(),
                found.answered.tolist(),
                found.failed.tolist(),
                _known(found.p50_seconds),
                _known(found.p95_seconds),
                _known(found.p99_seconds),
                _known(found.within_slo),
                strict=True,
            )
        )
    ]


def _known(values: NDArray[np.float64]) -> Iterator[float | None]:
    return (None if np.isnan(value) else value for value in values.tolist())
