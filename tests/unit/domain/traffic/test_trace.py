"""A trace is read as it is or refused with the line and the remedy; nothing is made up."""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dlagent.domain.traffic.trace import Trace, TraceError, read_csv, read_prometheus


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


@pytest.mark.parametrize(
    ("text", "step_seconds", "expected"),
    [
        pytest.param("minute,requests\n0,230\n1,0\n2,5\n", 60, [230, 0, 5], id="minutes"),
        pytest.param("minute,requests\n11520,1\n11521,2", 60, [1, 2], id="from any minute on"),
        pytest.param(' Minute , Requests\r\n"0", 3\r\n\r\n1,4\r\n', 60, [3, 4], id="untidy"),
        pytest.param("t_s,tokens\n0.0,9\n0.5,8\n2.1,7\n", 1, [2, 0, 1], id="single requests"),
        pytest.param("1700000000.2\n1700000000.9\n1700000001.3", 1, [2, 1], id="Unix times, bare"),
    ],
)
def test_csv(text: str, step_seconds: float, expected: list[float]) -> None:
    found = read_csv(lines(text))
    assert expected == found.requests.tolist()
    assert step_seconds == found.step_seconds
    assert step_seconds * len(expected) == found.duration_seconds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "it is empty: give a line", id="empty"),
        pytest.param("\n\n", "it is empty: give a line", id="blank lines alone"),
        pytest.param("minute,requests\n", "no request is in it", id="a header alone"),
        pytest.param("minute,requests\n0,0\n1,0", "no request is in it", id="only zeros"),
        pytest.param("t\n", "no request is in it", id="no single request"),
        pytest.param(
            "minute,requests\n0,1\n2,1", "line 3: minute 2 comes where 1 is due: write 0", id="gap"
        ),
        pytest.param(
            "minute,requests\n5,1\n5,1", "line 3: minute 5 again, or late: sort", id="twice"
        ),
        pytest.param("minute,requests\n5,1\n3,1", "line 3: minute 3 .* sort", id="disorder"),
        pytest.param("minute,requests\n0,-1", "line 2: -1 requests: .* correct", id="negative"),
        pytest.param("minute,requests\n0,many", "line 2: 'many' is no number", id="words"),
        pytest.param("minute,requests\n0,nan", "line 2: 'nan' is no number", id="NaN"),
        pytest.param("minute,requests\n0,", "line 2: '' is no number", id="a missing count"),
        pytest.param("minute,requests\n0", "line 2 has one column", id="a missing column"),
        pytest.param("minute,count\n0,1", "must be named requests", id="another name"),
        pytest.param("minutes,requests\n0,100", "must be of minutes", id="counts of what"),
        pytest.param("timestamp,count\n17,100", "must be of minutes", id="counts of a time"),
        pytest.param("0,230\n1,231", "line 1 has no names", id="two columns without names"),
        pytest.param("t\n2\n1", "line 3: 1 s comes after 2 s: sort by time", id="back in time"),
        pytest.param("t\n0\n1e13", "line 3: .* not milliseconds", id="milliseconds for seconds"),
        pytest.param("t\nx", "line 2: 'x' is no number", id="a word for a time"),
        pytest.param('t\n0\n"1' + "0" * 200_000, "line 3 is not CSV", id="a quote left open"),
    ],
)
def test_csv_refused(text: str, says: str) -> None:
    with pytest.raises(TraceError, match=says):
        read_csv(lines(text))


def test_a_csv_is_taken_line_by_line() -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        yield "seconds\n"
        while True:
            taken += 1
            yield f"{-taken}\n"

    with pytest.raises(TraceError, match="line 3"):
        read_csv(endless())
    assert 2 == taken


def answer(*series: list[tuple[float, str]]) -> str:
    result = [{"metric": {}, "values": values} for values in series]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def test_prometheus_gives_a_rate_at_each_step() -> None:
    found = read_prometheus(answer([(100, "2"), (115, "0"), (130, "4.5")]))
    assert 15 == found.step_seconds
    assert [30, 0, 67.5] == found.requests.tolist()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("{", "not the answer of Prometheus", id="broken JSON"),
        pytest.param("[" * 100_000, "not the answer of Prometheus", id="no end of brackets"),
        pytest.param(
            answer([(0, "1", 60, "2")]),  # type: ignore[list-item]
            "not the answer of Prometheus",
            id="two samples in one",
        ),
        pytest.param(
            answer([(10**400, "1")]), "not the answer of Prometheus", id="a time beyond all time"
        ),
        pytest.param('{"status": "error"}', "not the answer of Prometheus", id="an error"),
        pytest.param(
            '{"data": {"result": [{"value": [1, "2"]}]}}', "range query", id="an instant query"
        ),
        pytest.param(answer(), "no series", id="nothing found"),
        pytest.param(
            answer([(0, "1")], [(0, "1")]), r"2 series and must have one: .*sum\(", id="two series"
        ),
        pytest.param(answer([(0, "1")]), "fewer than two samples", id="one sample"),
        pytest.param(answer([]), "fewer than two samples", id="no sample"),
        pytest.param(answer([(0, "1"), (15, "NaN")]), "sample 2 is nan", id="NaN"),
        pytest.param(answer([(0, "1"), (15, "-1")]), "sample 2 is -1", id="negative"),
        pytest.param(
            answer([(0, "1"), (math.nan, "1")]),
            "sample 2 has the time nan",
            id="a time that is NaN",
        ),
        pytest.param(
            answer([(0, "1"), (15, "1"), (math.inf, "1")]), "sample 3 has the time inf", id="never"
        ),
        pytest.param(answer([(15, "1"), (0, "1")]), "not by time", id="disorder"),
        pytest.param(
            answer([(0, "1"), (15, "1"), (45, "1")]), "sample 3 comes 30 s after", id="gap"
        ),
        pytest.param(answer([(0, "0"), (15, "0")]), "no request is in it", id="only zeros"),
    ],
)
def test_prometheus_refused(text: str, says: str) -> None:
    with pytest.raises(TraceError, match=says):
        read_prometheus(text)


TRACE = Trace(60, np.arange(10.0))


@pytest.mark.parametrize(
    ("first_seconds", "last_seconds", "expected"),
    [
        pytest.param(0, 600, list(range(10)), id="all of it"),
        pytest.param(60, 180, [1, 2], id="two minutes"),
        pytest.param(59, 181, [1, 2], id="whole steps only"),
        pytest.param(540, 1e9, [9], id="up to its end"),
    ],
)
def test_part(first_seconds: float, last_seconds: float, expected: list[Any]) -> None:
    assert expected == TRACE.part(first_seconds, last_seconds).requests.tolist()


@pytest.mark.parametrize(
    ("first_seconds", "last_seconds"),
    [
        pytest.param(600, 700, id="behind its end"),
        pytest.param(61, 119, id="within one step"),
        pytest.param(120, 60, id="the wrong way round"),
    ],
)
def test_a_part_without_steps_is_refused(first_seconds: float, last_seconds: float) -> None:
    with pytest.raises(TraceError, match="none of them lies between"):
        TRACE.part(first_seconds, last_seconds)
