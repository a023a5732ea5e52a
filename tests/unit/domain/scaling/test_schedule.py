"""Known events: which one holds at a time, also where clocks change, and what is said of it."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.scaling.model import Decision, Reason, ScalingSettings
from dlagent.domain.scaling.schedule import (
    Event,
    Occurrence,
    explained,
    most_demanding,
    raised,
    told,
)

BERLIN = ZoneInfo("Europe/Berlin")
UTC = ZoneInfo("UTC")
HOUR = 3600.0
SETTINGS = ScalingSettings(
    service=None,
    threshold_seconds=0.5,
    objective=0.99,
    min_replicas=2,
    max_replicas=10,
    tick_seconds=10,
    hold_seconds=120,
    pod_start_seconds=60,
)


def event(cron: str, hours: float = 1, replicas: int = 5, zone: ZoneInfo = BERLIN) -> Event:
    return Event(cron, cron, zone, hours * HOUR, replicas)


def seconds(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


WORK = event("0 9 * * MON-FRI", hours=8)
NIGHT = event("30 2 * * *")


@pytest.mark.parametrize(
    ("one", "now", "lead", "active"),
    [
        pytest.param(WORK, "2026-11-30 08:59:59", 0, False, id="a second before it begins"),
        pytest.param(WORK, "2026-11-30 09:00:00", 0, True, id="when it begins"),
        pytest.param(WORK, "2026-11-30 16:59:59", 0, True, id="a second before it ends"),
        pytest.param(WORK, "2026-11-30 17:00:00", 0, False, id="when it has ended"),
        pytest.param(WORK, "2026-11-30 08:58:00", 120, True, id="it begins within the lead"),
        pytest.param(WORK, "2026-11-30 08:57:59", 120, False, id="it begins after the lead"),
        pytest.param(WORK, "2026-11-29 12:00:00", 0, False, id="another day of the week"),
        pytest.param(
            event("0 22 * * *", hours=4), "2026-11-30 01:00:00", 0, True, id="it began yesterday"
        ),
        pytest.param(
            event("0 0 * * *", hours=48), "2026-11-30 12:00:00", 0, True, id="it never ends"
        ),
        pytest.param(
            event("0 0 29 2 *"), "2026-02-28 23:59:59", 60, False, id="a day that is not every year"
        ),
        pytest.param(event("0 0 29 2 *"), "2028-02-29 00:30:00", 0, True, id="the leap day"),
        pytest.param(event("* * */20 * 1L"), "2026-11-30 12:00:00", 0, False, id="it never comes"),
    ],
)
def test_when_an_event_holds(one: Event, now: str, lead: float, active: bool) -> None:
    assert active == (most_demanding((one,), seconds(now), lead) is not None)


@pytest.mark.parametrize(
    ("now", "active"),
    [
        pytest.param(seconds("2026-03-29 01:59:59"), False, id="before the hour left out"),
        pytest.param(seconds("2026-03-29 03:00:00"), True, id="it begins right after that hour"),
        pytest.param(seconds("2026-03-29 03:59:59"), True, id="and takes a whole hour"),
        pytest.param(seconds("2026-03-29 04:00:00"), False, id="and no more"),
        pytest.param(seconds("2026-10-25 02:29:59"), False, id="before it, on the longer day"),
        pytest.param(seconds("2026-10-25 02:30:00"), True, id="in the first of two such hours"),
        pytest.param(seconds("2026-10-25 02:29:59", fold=1), True, id="until an hour has passed"),
        pytest.param(seconds("2026-10-25 02:30:00", fold=1), False, id="and not a second time"),
        pytest.param(seconds("2026-10-25 03:15:00"), False, id="nor for the second such hour"),
    ],
)
def test_when_clocks_are_changed(now: float, active: bool) -> None:
    assert active == (most_demanding((NIGHT,), now, 0) is not None)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        pytest.param((), None, id="no event"),
        pytest.param((event("0 9 * * *", 1, 5), event("0 9 * * *", 8, 3)), 5, id="the most counts"),
        pytest.param((event("0 9 * * *", 1, 5), event("0 8 * * *", 1, 9)), 5, id="one is over"),
        pytest.param((event("0 9 * * *", 1, 5), event("0 10 * * *", 1, 9)), 5, id="one is to come"),
    ],
)
def test_of_several_events_the_most_demanding_counts(
    schedule: tuple[Event, ...], expected: int | None
) -> None:
    found = most_demanding(schedule, seconds("2026-11-30 09:30"), 60)
    assert expected == (found.event.min_replicas if found is not None else None)


def test_of_equals_the_one_that_ends_last_is_named() -> None:
    short, long = event("0 9 * * *", 1), event("0 8 * * *", 3)
    now = seconds("2026-11-30 09:30")
    for schedule in ((short, long), (long, short)):
        found = most_demanding(schedule, now, 60)
        assert found is not None
        assert long == found.event


@given(
    now=st.floats(1.7e9, 1.9e9),
    hours=st.floats(0.1, 100),
    lead=st.floats(0, 600),
    zone=st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC"]),
    cron=st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 */5 1,15 * *", "15 1 * * SUN"]),
)
def test_what_is_found_has_not_ended_and_begins_within_the_lead(
    now: float, hours: float, lead: float, zone: str, cron: str
) -> None:
    found = most_demanding((event(cron, hours, zone=ZoneInfo(zone)),), now, lead)
    if found is not None:
        assert found.start <= now + lead
        assert now <= found.end
        assert 0 == found.start % 60


def occurrence(replicas: int) -> Occurrence:
    start = seconds("2026-11-30 09:00")
    return Occurrence(Event("sale", "0 9 * * *", BERLIN, HOUR, replicas), start, start + HOUR)


@pytest.mark.parametrize(
    ("held", "minimum"),
    [
        pytest.param(None, 2, id="without an event the agent's own"),
        pytest.param(occurrence(5), 5, id="an event raises it"),
        pytest.param(occurrence(1), 2, id="an event does not lower it"),
        pytest.param(occurrence(50), 10, id="never above the upper bound"),
    ],
)
def test_the_lower_bound_that_holds(held: Occurrence | None, minimum: int) -> None:
    settings = raised(SETTINGS, held)
    assert (minimum, 10) == (settings.min_replicas, settings.max_replicas)


BOUND = Decision(5, Reason.BOUNDS, "One is enough.", needed=1)
BLIND = Decision(5, Reason.NO_DATA, "As before.", blind="down")
NAMED = (
    "spec.scaling.schedule asks for 5 replicas: sale, 2026-11-30 09:00 to 10:00 (Europe/Berlin)."
)


@pytest.mark.parametrize(
    ("decision", "held", "message"),
    [
        pytest.param(BOUND, occurrence(5), f"One is enough. {NAMED}", id="the event holds it"),
        pytest.param(BOUND, None, "One is enough.", id="no event"),
        pytest.param(BOUND, occurrence(2), "One is enough.", id="an event that asks for no more"),
        pytest.param(
            Decision(7, Reason.LOAD, "Seven are needed."),
            occurrence(5),
            "Seven are needed.",
            id="the load needs more than the event",
        ),
        pytest.param(
            Decision(5, Reason.LOAD, "Five are needed."),
            occurrence(5),
            "Five are needed.",
            id="the load needs as many as the event",
        ),
        pytest.param(
            BLIND,
            occurrence(5),
            f"Nothing is known of the load: down. {NAMED}",
            id="without data the event holds it",
        ),
        pytest.param(
            Decision(8, Reason.NO_DATA, "As before.", blind="down"),
            occurrence(5),
            "As before.",
            id="without data there are more already",
        ),
    ],
)
def test_what_is_said(decision: Decision, held: Occurrence | None, message: str) -> None:
    assert message == explained(decision, SETTINGS, held).message


def test_an_event_over_midnight_is_told_with_both_days() -> None:
    start = seconds("2026-11-30 23:00", UTC)
    held = Occurrence(event("0 23 * * *", 2, zone=UTC), start, start + 2 * HOUR)
    assert "0 23 * * *, 2026-11-30 23:00 to 2026-12-01 01:00 (UTC)" == told(held)
