"""Conditions from one visit to the next: what changed keeps its history, what did not its time."""

from collections.abc import Iterable
from datetime import datetime

from dlagent.domain.status.model import Condition, timestamp

# The apiserver's limit is 32768; a person's is lower.
_MESSAGE_CHARACTERS = 1024


def condition(type_: str, is_true: bool, reason: str, message: str) -> Condition:
    """A condition as decided now, without its times."""
    return Condition(
        type=type_,
        status="True" if is_true else "False",
        reason=reason,
        message=message[:_MESSAGE_CHARACTERS],
    )


def carry_over(
    before: Iterable[Condition], wanted: Iterable[Condition], generation: int, now: datetime
) -> list[Condition]:
    """The conditions to write: lastTransitionTime moves only where the status did."""
    times = {(item.type, item.status): item.last_transition_time for item in before}
    return [
        item.model_copy(
            update={
                "last_transition_time": times.get((item.type, item.status)) or timestamp(now),
                "observed_generation": generation,
            }
        )
        for item in wanted
    ]
