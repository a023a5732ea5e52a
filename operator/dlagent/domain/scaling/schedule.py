"""Events that are known beforehand: how many replicas spec.scaling.schedule asks for at a time.

dlagent.reconcile.scaling raises the lower bound by it before each decision, and has the decision
say so. Times are Unix seconds. Cron expressions mean what they mean to Debian's cron (by the
library cronsim, written for that), also where clocks are put forward or back: what would begin in
the hour that is left out begins right after it, and what begins in the one that comes twice begins
in the first of the two.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim

from dlagent.domain.scaling.model import Decision, Reason, ScalingSettings


@dataclass(frozen=True, slots=True)
class Event:
    """From each time that `cron` says by the clock of `zone`, for its duration.

    `name` is what people call it. The expression is one that dlagent.api has accepted.
    """

    name: str
    cron: str
    zone: ZoneInfo
    duration_seconds: float
    min_replicas: int


Schedule = tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that an event takes place."""

    event: Event
    start: float
    end: float


def most_demanding(schedule: Schedule, now: float, lead_seconds: float) -> Occurrence | None:
    """Of what takes place now, or begins within the lead, what asks for the most replicas.

    Of several that ask for as many, the one that ends last. With a lead as long as a pod takes to
    be ready, what is started by it is there when the event begins.
    """
    found = (_occurrence(event, now, lead_seconds) for event in schedule)
    present = [occurrence for occurrence in found if occurrence is not None]
    return max(present, key=lambda one: (one.event.min_replicas, one.end), default=None)


def raised(settings: ScalingSettings, occurrence: Occurrence | None) -> ScalingSettings:
    """The settings with the lower bound that holds meanwhile; never above the upper one."""
    if occurrence is None:
        return settings
    asked = min(occurrence.event.min_replicas, settings.max_replicas)
    if asked <= settings.min_replicas:
        return settings
    return replace(settings, min_replicas=asked)


def explained(
    decision: Decision, settings: ScalingSettings, occurrence: Occurrence | None
) -> Decision:
    """The decision, naming the event where that is what keeps its number from being lower.

    `settings` are the agent's own, those that were not raised.
    """
    bound = raised(settings, occurrence).min_replicas
    held = bound > settings.min_replicas and decision.desired == bound
    if occurrence is None or not held:
        return decision
    because = f"spec.scaling.schedule asks for {bound} replicas: {told(occurrence)}."
    if decision.blind is not None:
        message = f"Nothing is known of the load: {decision.blind}. {because}"
        return replace(decision, message=message)
    if decision.reason is not Reason.BOUNDS:
        return decision
    return replace(decision, message=f"{decision.message} {because}")


def told(occurrence: Occurrence) -> str:
    """The event and when it is, by its own clock."""
    event = occurrence.event
    start, end = (
        datetime.fromtimestamp(at, event.zone) for at in (occurrence.start, occurrence.end)
    )
    same_day = start.date() == end.date()
    until = end.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M")
    return f"{event.name}, {start.strftime('%Y-%m-%d %H:%M')} to {until} ({event.zone.key})"


def _occurrence(event: Event, now: float, lead_seconds: float) -> Occurrence | None:
    """The one that has begun first, of those that have not ended and begin within the lead."""
    # Events begin at whole minutes: none begins between the last one and any moment after it.
    minute = math.floor((now - event.duration_seconds) / 60)
    start = _first_start(event.cron, event.zone, minute)
    if start is None or start > now + lead_seconds:
        return None
    return Occurrence(event, start, start + event.duration_seconds)


@lru_cache(maxsize=4096)  # a tenth of a millisecond each, and the ticks of a minute ask the same
def _first_start(cron: str, zone: ZoneInfo, minute: int) -> float | None:
    """The first after that minute (since 1970); None where there is none within 50 years."""
    after = minute * 60.0
    for start in CronSim(cron, datetime.fromtimestamp(after, zone)):
        # Where an hour comes twice, cronsim takes a time in the second one for the first.
        if start.timestamp() > after:
            return start.timestamp()
    return None
