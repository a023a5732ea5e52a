"""spec.scaling.schedule as the scaler uses it; what no schema can check is refused here.

Called by `gather`, which says so in the status, and by `scaled`, which then leaves the agent alone.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from dlagent.api.scaling import CRON_REMEDY
from dlagent.api.types import DLAgentSpec
from dlagent.domain.scaling.schedule import Event, Schedule

_ANY_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)


class ScheduleError(ValueError):
    """An event cannot be read; the message names the field and the remedy."""


def read_schedule(spec: DLAgentSpec) -> Schedule:
    """The events of an agent.

    Raises:
        ScheduleError: an expression never comes true, or the operator knows no such time zone.
    """
    found = []
    for number, event in enumerate(spec.scaling.schedule):
        field = f"spec.scaling.schedule[{number}]"
        _check_cron(event.cron, f"{field}.cron")
        found.append(
            Event(
                name=event.name or event.cron,
                cron=event.cron,
                zone=_zone(event.time_zone, f"{field}.timeZone"),
                duration_seconds=event.duration_minutes * 60,
                min_replicas=event.min_replicas,
            )
        )
    return tuple(found)


def _check_cron(cron: str, field: str) -> None:
    """What the pattern lets through and no calendar has, such as 30 February."""
    try:
        first = next(CronSim(cron, _ANY_MOMENT), None)
    except CronSimError as error:
        raise ScheduleError(f"{field} is {cron!r} ({error}): {CRON_REMEDY}") from error
    if first is None:
        raise ScheduleError(f"{field} is {cron!r}, and there is no such moment: {CRON_REMEDY}")


def _zone(name: str, field: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    # KeyError: there is none; the others: a folder of zones, or what is no name at all.
    except (KeyError, OSError, ValueError) as error:
        raise ScheduleError(
            f"{field} is {name!r}, and the operator knows no such time zone: write one such as"
            " Europe/Berlin or UTC"
        ) from error
