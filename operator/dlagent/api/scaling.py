"""spec.scaling: who decides the number of replicas, within which bounds, and known events."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dlagent.api.base import ApiModel, DnsLabel, Rule, checked

_DEFAULT_MAX_REPLICAS = 10
_LONGEST_EVENT_MINUTES = 31 * 24 * 60
CRON_REMEDY = (
    "write minute, hour, day of the month, month, day of the week, such as 30 8 * * MON-FRI"
)


def _cron_field(value: str, also: str = "") -> str:
    """The expression of a list of values, ranges and steps; `also` stands for more of a value."""
    item = rf"([*]|({value})(-({value}))?)(/[1-9][0-9]?)?{also}"
    return f"{item}(,{item})*"


_CRON_PATTERN = " +".join(
    (
        _cron_field("[0-5]?[0-9]"),
        _cron_field("[01]?[0-9]|2[0-3]"),
        _cron_field("0?[1-9]|[12][0-9]|3[01]|LW?"),
        _cron_field("0?[1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"),
        _cron_field("[0-7]|SUN|MON|TUE|WED|THU|FRI|SAT", "(#[1-5]|L)?"),
    )
)


class ScalingMode(StrEnum):
    AUTO = "Auto"
    MANUAL = "Manual"
    ADVISE = "Advise"


class ScheduledEvent(ApiModel):
    """Something known beforehand, for which replicas are made ready."""

    name: DnsLabel | None = None
    """What the status calls it. Absent: its cron expression."""
    cron: Annotated[
        str,
        Field(
            min_length=9,
            max_length=128,
            json_schema_extra=checked(
                Rule(
                    f"self.upperAscii().matches('^{_CRON_PATTERN}$')",
                    f"must be a cron expression of five fields: {CRON_REMEDY}",
                )
            ),
        ),
    ]
    """When it begins: minute, hour, day of the month, month, day of the week."""
    time_zone: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            json_schema_extra={
                "pattern": r"^[A-Za-z][-A-Za-z0-9+_]*(/[A-Za-z0-9][-A-Za-z0-9+_]*)*$"
            },
        ),
    ] = "UTC"
    """Whose clock cron is by, such as Europe/Berlin; summer time is minded."""
    duration_minutes: Annotated[int, Field(ge=1, le=_LONGEST_EVENT_MINUTES)]
    """How long it takes, from each time that cron says."""
    min_replicas: Annotated[int, Field(ge=1, le=1000)]
    """At least so many answer from its beginning to its end; at most maxReplicas."""


class Scaling(ApiModel):
    """Who decides the number of replicas."""

    model_config = {
        "json_schema_extra": checked(
            Rule(
                "self.minReplicas <= self.maxReplicas",
                "must not be below minReplicas; raise maxReplicas (its default is"
                f" {_DEFAULT_MAX_REPLICAS}) or lower minReplicas",
                ".maxReplicas",
            ),
            Rule(
                "!has(self.schedule) ||"
                " self.schedule.all(event, event.minReplicas <= self.maxReplicas)",
                "must not ask for more minReplicas than maxReplicas; raise maxReplicas (its default"
                f" is {_DEFAULT_MAX_REPLICAS}) or lower those of the event",
                ".schedule",
            ),
        )
    }

    mode: ScalingMode = ScalingMode.AUTO
    """Auto: the operator, by the load and the promise. Advise: it says in the status what it would
    do, and keeps the replicas that are there. Manual: the field replicas, which `kubectl scale`
    and a HorizontalPodAutoscaler write."""
    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    """Never fewer than these, in mode Auto."""
    max_replicas: Annotated[int, Field(ge=1, le=1000)] = _DEFAULT_MAX_REPLICAS
    """Never more than these, in mode Auto."""
    schedule: Annotated[list[ScheduledEvent], Field(max_length=16)] = []
    """Events that are known beforehand: while one lasts, more replicas than minReplicas are kept.
    They are started early enough to be ready when it begins."""
