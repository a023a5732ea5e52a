"""spec.scaling.schedule: what admission lets through is read, or refused with its field."""

import contextlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.api.crd import resource_schema
from dlagent.api.types import DLAgentSpec
from dlagent.domain.scaling.schedule import Schedule
from dlagent.reconcile.schedule import ScheduleError, read_schedule

SCALING: dict[str, Any] = resource_schema()["properties"]["spec"]["properties"]["scaling"]
EVENT: dict[str, Any] = SCALING["properties"]["schedule"]["items"]["properties"]
(RULE,) = EVENT["cron"]["x-kubernetes-validations"]
(CRON,) = re.findall(r"matches\('\^(.*)\$'\)", RULE["rule"])
ZONE = EVENT["timeZone"]["pattern"]


def read(cron: str = "0 9 * * *", zone: str = "UTC", **more: Any) -> Schedule:
    event = {"cron": cron, "timeZone": zone, "durationMinutes": 60, "minReplicas": 2, **more}
    return read_schedule(
        DLAgentSpec.model_validate(
            {
                "model": {"source": {"uri": "pvc://models/shoes.onnx"}},
                "slo": {"latency": {"thresholdMilliseconds": 50}},
                "scaling": {"schedule": [event]},
            }
        )
    )


@pytest.mark.parametrize(
    "cron",
    [
        "0 9 * * *",
        "30 8 * * MON-FRI",
        "*/15 8-18/2 1,15 JAN,6 0-6",
        "05 09 01 02 7",
        "0 0 L * *",
        "0 0 LW * *",
        "0 0 * * 5L",
        "0 0 * * MON#1",
        "59  23   31 12 *",
    ],
)
def test_a_cron_expression_is_admitted_and_read(cron: str) -> None:
    assert re.fullmatch(CRON, cron)
    (event,) = read(cron)
    assert (cron, cron) == (event.name, event.cron)


@pytest.mark.parametrize(
    "cron",
    [
        pytest.param("0 9 * *", id="four fields"),
        pytest.param("0 0 9 * * *", id="six, with seconds"),
        pytest.param("60 9 * * *", id="a minute that is not there"),
        pytest.param("0 24 * * *", id="an hour that is not there"),
        pytest.param("0 9 0 * *", id="a day that is not there"),
        pytest.param("0 9 * 13 *", id="a month that is not there"),
        pytest.param("0 9 * * 8", id="a day of the week that is not there"),
        pytest.param("*/0 9 * * *", id="a step of nothing"),
        pytest.param("@daily", id="a nickname"),
        pytest.param("0 9 * * MONDAY", id="a whole word"),
        pytest.param("0 9 * * *\n", id="a line's end"),
    ],
)
def test_what_is_no_cron_expression_is_not_admitted(cron: str) -> None:
    assert not re.fullmatch(CRON, cron)


@pytest.mark.parametrize(
    "cron",
    [
        pytest.param("9-5 9 * * *", id="a range that runs backwards"),
        pytest.param("0 9 30 2 *", id="a day that February never has"),
        pytest.param("* * */20 * 1L", id="no such moment within 50 years"),
    ],
)
def test_what_admission_cannot_see_is_refused_with_field_and_remedy(cron: str) -> None:
    assert re.fullmatch(CRON, cron)
    with pytest.raises(
        ScheduleError, match=r"^spec\.scaling\.schedule\[0\]\.cron is .* write minute"
    ):
        read(cron)


def fields(values: list[str], ends: list[str]) -> st.SearchStrategy[str]:
    """Lists of values, ranges and steps, whether or not they make sense."""
    value = st.sampled_from(values)
    ranges = st.tuples(value, value).map("-".join)
    steps = st.sampled_from(["", "", "/1", "/7", "/99"])
    item = st.tuples(value | ranges, steps, st.sampled_from(ends)).map("".join)
    return st.lists(item, min_size=1, max_size=3).map(",".join)


CRONS = st.tuples(
    fields(["*", "0", "05", "59"], [""]),
    fields(["*", "0", "7", "23"], [""]),
    fields(["*", "1", "15", "29", "30", "31", "L", "LW"], [""]),
    fields(["*", "1", "2", "FEB", "4", "12"], [""]),
    fields(["*", "0", "3", "7", "MON"], ["", "", "#1", "#5", "L"]),
).map(" ".join)


@given(CRONS.filter(lambda cron: re.fullmatch(CRON, cron) is not None))
def test_whatever_is_admitted_is_read_or_refused(cron: str) -> None:
    with contextlib.suppress(ScheduleError):
        assert cron == read(cron)[0].cron


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Argentina/Salta", "Etc/GMT+5"])
def test_a_time_zone_is_admitted_and_known(zone: str) -> None:
    assert re.search(ZONE, zone)
    assert zone == read(zone=zone)[0].zone.key


@pytest.mark.parametrize(
    ("zone", "admitted"),
    [
        pytest.param("Europe/Atlantis", True, id="no such town"),
        pytest.param("America", True, id="a folder of zones"),
        pytest.param("../etc/passwd", False, id="a path"),
        pytest.param("/etc/localtime", False, id="an absolute path"),
        pytest.param("+02:00", False, id="an offset"),
        pytest.param("Europe/\0", False, id="a byte that no file name has"),
    ],
)
def test_what_is_no_time_zone_is_refused_with_field_and_remedy(zone: str, admitted: bool) -> None:
    assert admitted == (re.search(ZONE, zone) is not None)
    with pytest.raises(ScheduleError, match=r"schedule\[0\]\.timeZone is .* such as Europe/Berlin"):
        read(zone=zone)


def test_an_event_has_its_own_name_and_its_figures_in_seconds() -> None:
    (event,) = read(name="sale")
    assert ("sale", 3600, 2) == (event.name, event.duration_seconds, event.min_replicas)
