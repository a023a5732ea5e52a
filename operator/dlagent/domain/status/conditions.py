"""Conditions from one visit to the next: what changed keeps its history, what did not its time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from dlagent.api.conditions import ConditionStatus, ConditionType
from dlagent.api.status import Condition
from dlagent.domain.status.model import timestamp
from dlagent.domain.status.redaction import redact

# The apiserver's limit is 32768; a person's is lower.
_MESSAGE_CHARACTERS = 1024
_STATUS = {
    True: ConditionStatus.TRUE,
    False: ConditionStatus.FALSE,
    None: ConditionStatus.UNKNOWN,
}
_IS_TRUE = {status: is_true for is_true, status in _STATUS.items()}


@dataclass(frozen=True)
class Finding:
    """A condition as decided now, before it is known since when it is so.

    `is_true` is None where nobody can tell.
    """

    type: ConditionType
    is_true: bool | None
    reason: str
    message: str


def carry_over(
    before: Iterable[Condition], wanted: Iterable[Finding], generation: int, now: datetime
) -> list[Condition]:
    """The conditions to write: lastTransitionTime moves only where the status did."""
    times = {(item.type, item.status): item.last_transition_time for item in before}
    return [_dated(item, times, generation, now) for item in wanted]


def _dated(
    finding: Finding,
    times: Mapping[tuple[str, ConditionStatus], str],
    generation: int,
    now: datetime,
) -> Condition:
    status = _STATUS[finding.is_true]
    return Condition(
        type=finding.type,
        status=status,
        reason=finding.reason,
        message=redact(finding.message)[:_MESSAGE_CHARACTERS],
        last_transition_time=times.get((finding.type, status)) or timestamp(now),
        observed_generation=generation,
    )


def finding_of(condition: Condition) -> Finding:
    """A condition that is to stay as it is."""
    return Finding(
        ConditionType(condition.type),
        _IS_TRUE[condition.status],
        condition.reason,
        condition.message,
    )
