"""What arrived, minute by minute: what a forecast learns from.

`recorded` is called at each tick by dlagent.domain.scaling.decision; at the start of the operator
the past is read back from Prometheus, so that a restart forgets nothing. Times are Unix seconds,
rates requests/s.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

STEP_SECONDS = 60.0
DAY_STEPS = 1440
KEPT_STEPS = 3 * DAY_STEPS  # two days to learn from, and the day before each of them

Rates = NDArray[np.float32]


def _none() -> Rates:
    return np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Mean rates by minute, the oldest first, the last one until `ends`; NaN is not measured.

    `looks` are times and rates of the minute that is not over yet.
    """

    rates: Rates = field(default_factory=_none)
    ends: float = -math.inf
    looks: tuple[tuple[float, float], ...] = ()

    def at(self, now: float) -> "History":
        """With NaN for the minutes since; without what is older than three days, or not yet."""
        passed = now - self.ends
        if passed < 0:
            return self.until(now)  # the clock was set back
        if passed > KEPT_STEPS * STEP_SECONDS:
            return History(ends=now)
        missing = math.floor(passed / STEP_SECONDS + 1e-9)
        if not missing:
            return self
        rates = np.concatenate([self.rates, np.full(missing, np.nan, np.float32)])
        return History(rates[-KEPT_STEPS:], self.ends + missing * STEP_SECONDS)

    def until(self, moment: float) -> "History":
        """Without the minutes that end after a moment."""
        if self.ends <= moment:
            return self
        later = math.ceil((self.ends - moment) / STEP_SECONDS - 1e-9)
        if later >= len(self.rates):
            return History(ends=moment)
        rates = self.rates[: len(self.rates) - later]
        return History(rates, self.ends - later * STEP_SECONDS)


def recorded(history: History, rate: float, seconds: float, now: float) -> History:
    """With a rate that was measured over the last so many seconds; with the mean of those that
    were measured within the minute before, once a minute has passed.
    """
    after = history.at(now)
    known = (look for look in history.looks if now - STEP_SECONDS < look[0] < now)
    looks = (*known, (now, rate))
    if after.ends <= history.ends or not len(after.rates):
        return replace(after, looks=looks)
    within = now - max(0.0, STEP_SECONDS - seconds)
    rates = after.rates.copy()
    rates[-1] = fmean(each for at, each in looks if at >= within)
    return History(rates, after.ends)


def by_minute(rates: Mapping[float, float]) -> History:
    """Of rates by the end of their minute, a whole number of minutes apart; gaps are NaN."""
    if not rates:
        return History()
    first, ends = min(rates), max(rates)
    steps = min(KEPT_STEPS, round((ends - first) / STEP_SECONDS) + 1)
    found = np.full(steps, np.nan, np.float32)
    for at, rate in rates.items():
        place = steps - 1 - round((ends - at) / STEP_SECONDS)
        if place >= 0:
            found[place] = rate
    return History(found, ends)
