"""Reads traces of real traffic: counts by the minute, single requests, or a Prometheus query.

A trace with a hole in it would be replayed as silence that never was, so whatever is missing, out
of order or negative is refused, with the line and the remedy. Lines are taken one by one: only the
counts are kept.
"""

import csv
import json
import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MINUTE_SECONDS = 60.0
_MOST_STEPS = 10_000_000  # 116 days of seconds, 80 MB: above it the unit is wrong, not the trace
_COUNTS = ("requests", "count")  # names of columns that no line about one request has
_EVEN_SHARE = 0.01  # by which the distances of a query's samples may differ

Row = tuple[int, list[str]]  # number of the line and its cells


class TraceError(ValueError):
    """A trace that cannot be used; the message says where and what to do."""


@dataclass(frozen=True)
class Trace:
    """How many requests came in each step; all steps have the same length."""

    step_seconds: float
    requests: NDArray[np.float64]

    @property
    def duration_seconds(self) -> float:
        """From its first step to the end of its last."""
        return self.step_seconds * len(self.requests)

    def part(self, first_seconds: float, last_seconds: float) -> "Trace":
        """The whole steps between two times, counted from the trace's beginning.

        Raises:
            TraceError: there is no whole step between them.
        """
        first = math.ceil(first_seconds / self.step_seconds)
        last = math.floor(min(last_seconds, self.duration_seconds) / self.step_seconds)
        if not 0 <= first < last:
            raise TraceError(
                f"it has {self.duration_seconds:g} s in steps of {self.step_seconds:g} s: "
                f"none of them lies between {first_seconds:g} s and {last_seconds:g} s"
            )
        return Trace(self.step_seconds, self.requests[first:last])


def read_csv(lines: Iterable[str]) -> Trace:
    """A CSV with the columns `minute,requests`, or one whose first column is when a request came.

    The second kind is in seconds from any origin, one request a line, whatever else the line has;
    it is counted by second.

    Raises:
        TraceError: it is empty, or a line does not fit.
    """
    rows = _rows(lines)
    first = next(rows, None)
    if first is None:
        raise TraceError("it is empty: give a line `minute,requests` and a line for each minute")
    header = [cell.strip().lower() for cell in first[1]]
    if header[:2] == ["minute", "requests"]:
        return _checked(Trace(_MINUTE_SECONDS, _by_minute(rows)))
    if header[0] == "minute":
        raise TraceError("line 1: its second column must be named requests: `minute,requests`")
    if any(name in _COUNTS for name in header):
        raise TraceError(
            "line 1: counts must be of minutes, `minute,requests`; where each line is one request, "
            "leave that column out"
        )
    if _is_number(header[0]):
        if len(header) > 1:
            raise TraceError(
                "line 1 has no names for its columns: put `minute,requests` before it where each "
                "line counts a minute, or `seconds,...` where each line is a request"
            )
        rows = chain([first], rows)
    return _checked(Trace(1.0, _by_second(rows)))


def read_prometheus(text: str) -> Trace:
    """The JSON answer of Prometheus' /api/v1/query_range for one series of requests per second.

    Raises:
        TraceError: it is something else, has several series, or misses samples.
    """
    step, rates = _even(_only_series(text))
    return _checked(Trace(step, rates * step))


def _rows(lines: Iterable[str]) -> Iterator[Row]:
    reader = csv.reader(lines, skipinitialspace=True)
    try:
        for cells in reader:
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise TraceError(f"line {reader.line_num} is not CSV: {error}") from error


def _by_minute(rows: Iterator[Row]) -> NDArray[np.float64]:
    counts = array("d")
    due: float | None = None
    for line, cells in rows:
        if len(cells) < 2:
            raise TraceError(f"line {line} has one column: give minute and requests")
        minute, requests = _number(cells[0], line), _number(cells[1], line)
        if due is not None and minute > due:
            raise TraceError(
                f"line {line}: minute {minute:g} comes where {due:g} is due: "
                "write 0 for a minute without requests"
            )
        if due is not None and minute < due:
            raise TraceError(f"line {line}: minute {minute:g} again, or late: sort by minute")
        counts.append(_not_negative(requests, line))
        due = minute + 1
    return np.frombuffer(counts, np.float64) if counts else np.zeros(0)


def _by_second(rows: Iterable[Row]) -> NDArray[np.float64]:
    counts = array("d")
    origin = last = math.nan
    for line, cells in rows:
        seconds = _number(cells[0], line)
        if math.isnan(origin):
            origin = last = seconds
        if seconds < last:
            raise TraceError(f"line {line}: {seconds:g} s comes after {last:g} s: sort by time")
        last = seconds
        step = int(seconds - origin)
        if step >= _MOST_STEPS:
            raise TraceError(
                f"line {line}: {seconds:g} is more than {_MOST_STEPS:,} s after the first request: "
                "give seconds, not milliseconds, or a shorter part"
            )
        counts.extend([0.0] * (step + 1 - len(counts)))
        counts[step] += 1
    return np.frombuffer(counts, np.float64) if counts else np.zeros(0)


def _number(cell: str, line: int) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TraceError(f"line {line}: {cell.strip()!r} is no number: correct or remove the line")
    return value


def _not_negative(requests: float, line: int) -> float:
    if requests < 0:
        raise TraceError(f"line {line}: {requests:g} requests: a count is 0 or more, correct it")
    return requests


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _checked(trace: Trace) -> Trace:
    if not trace.requests.any():
        raise TraceError("no request is in it: give a trace, or a part of one, with traffic")
    return trace


def _only_series(text: str) -> NDArray[np.float64]:
    """Times and values, a row each, of the only series in the answer."""
    try:
        answer: Any = json.loads(text)
        series = answer["data"]["result"]
        samples = [item["values"] for item in series]
        if len(samples) == 1:
            found = np.array(samples[0], np.float64)
            if found.size and (found.ndim != 2 or found.shape[1] != 2):
                raise ValueError("a sample is a time and a value")
            return found.reshape(-1, 2)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise TraceError(
            "it is not the answer of Prometheus to a range query: save what "
            "/api/v1/query_range?query=...&start=...&end=...&step=... gives"
        ) from error
    raise TraceError(
        f"it has {len(samples)} series and must have one: ask for sum(rate(...[1m]))"
        if samples
        else "it has no series: the query found nothing in that time"
    )


def _even(samples: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The distance of the samples in seconds, and their values."""
    times, rates = samples[:, 0], samples[:, 1]
    if len(times) < 2:
        raise TraceError("it has fewer than two samples: ask for a longer time or a smaller step")
    for number, (time, value) in enumerate(samples, 1):
        if not math.isfinite(time):
            raise TraceError(
                f"sample {number} has the time {time:g}, which is none: take the answer as"
                " Prometheus gave it"
            )
        if not math.isfinite(value) or value < 0:
            raise TraceError(
                f"sample {number} is {value:g}, which is no rate: ask for a time without it"
            )
    step = float(np.diff(times).min())
    for number, (before, after) in enumerate(pairwise(times), 2):
        if step <= 0:
            raise TraceError("its samples are not by time: take the answer as Prometheus gave it")
        if abs(after - before - step) > _EVEN_SHARE * step:
            raise TraceError(
                f"sample {number} comes {after - before:g} s after the one before, the others "
                f"{step:g} s: samples are missing; choose a time without a gap"
            )
    return step, rates
