"""Is the promise kept, over its window? Called by dlagent.domain.status.scaling."""

from dataclasses import dataclass
from enum import Enum

from dlagent.domain.scaling.values import NoData

_MISSES_TO_JUDGE_BY = 10  # fewer allowed misses than these are no statement about the objective
_BUDGET_STEP_PERCENT = 10
# The operator asks each pod of a new revision for the golden answer, which Triton counts as well.
_NO_TRAFFIC_BELOW = 10
_NO_LATENCY = "requests arrive, and no pod tells how long its answers took"


class Verdict(Enum):
    MET = "the objective holds"
    BUDGET_SPENT = "more requests missed than the objective allows"
    NO_TRAFFIC = "nothing was asked in the window"
    INSUFFICIENT_HISTORY = "too few requests were seen to judge"
    NO_DATA = "nothing is known"


@dataclass(frozen=True, slots=True)
class SloWindow:
    """What Prometheus recorded of the window; requests may be fractions, being estimates."""

    requests: float
    good: float
    observed_seconds: float


@dataclass(frozen=True, slots=True)
class SloJudgement:
    """`attained` from 0 to 1; `budget_left_percent` in steps of ten; None where nothing is known.

    `requests_to_judge`: as many must be seen before there is a verdict; None where there is one.
    """

    verdict: Verdict
    attained: float | None = None
    budget_left_percent: int | None = None
    observed_hours: int | None = None
    requests_to_judge: int | None = None
    why: str | None = None


def judge(
    window: SloWindow | NoData, objective: float, latency_missing: bool = False
) -> SloJudgement:
    """`objective` from 0 to 1, both excluded.

    `latency_missing`: requests arrive, and no pod tells how long its answers took: then that few
    are recorded does not mean that few came.
    """
    if isinstance(window, NoData):
        return SloJudgement(Verdict.NO_DATA, why=window.why)
    hours = coarse_hours(window.observed_seconds)
    if window.requests < _NO_TRAFFIC_BELOW and latency_missing:
        return SloJudgement(Verdict.NO_DATA, why=_NO_LATENCY)
    if window.requests < _NO_TRAFFIC_BELOW:
        return SloJudgement(Verdict.NO_TRAFFIC, observed_hours=hours)
    attained = min(1.0, window.good / window.requests)
    needed = requests_to_judge(objective)
    if window.requests < needed:
        return SloJudgement(
            Verdict.INSUFFICIENT_HISTORY, attained, None, hours, requests_to_judge=needed
        )
    spent = (1 - attained) / (1 - objective)
    verdict = Verdict.MET if attained >= objective else Verdict.BUDGET_SPENT
    return SloJudgement(verdict, attained, _coarse_budget(1 - spent), hours)


def requests_to_judge(objective: float) -> int:
    """Of so many, the objective allows ten to miss."""
    return round(_MISSES_TO_JUDGE_BY / (1 - objective))


def _coarse_budget(left: float) -> int:
    """Rounded down, so that what is shown is never more than there is."""
    tens = int(max(0.0, left) * 100 + 1e-9) // _BUDGET_STEP_PERCENT
    return tens * _BUDGET_STEP_PERCENT


def coarse_hours(seconds: float) -> int:
    """Whole hours to six, then steps of six, from two days on whole days: status changes rarely."""
    hours = int(seconds // 3600)
    if hours <= 6:
        return hours
    step = 6 if hours < 48 else 24
    return hours // step * step
