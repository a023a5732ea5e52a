"""For how long fewer must have been enough before any replica is taken away.

dlagent.domain.scaling.decision asks at each tick, dlagent.domain.scaling.turning and who explains
when somebody wants to know. Pure; times are Unix seconds.
"""

import numpy as np

from dlagent.domain.scaling.budget import HOUR_SECONDS, burn_rate
from dlagent.domain.scaling.history import Rates
from dlagent.domain.scaling.model import ScalingSettings, ScalingState
from dlagent.domain.scaling.slo import requests_to_judge

_YOUNG_STEPS = 120  # minutes: until then a forecast rests on what is assumed as well
# Times the hold time, and seconds: a pod that is slow to start does not make bursts rarer.
_MOST, _MOST_SECONDS = 5.0, 900.0
_CAME = 0.5  # of the busiest minute


def patience_seconds(state: ScalingState, settings: ScalingSettings, now: float) -> float:
    """The hold time; while little is known of the load and too much is missed, up to five times it,
    and no longer than a quarter of an hour.

    A load that comes in bursts and one that has gone look the same, until something is known of
    how it moves. Where the last hour missed more than its part, the dearer mistake is to let go.
    """
    if len(state.history.rates) >= _YOUNG_STEPS:
        return settings.window_seconds
    prior = requests_to_judge(settings.objective)
    burnt = burn_rate(state.budget, settings.objective, HOUR_SECONDS, prior, now)
    held = settings.window_seconds
    if burnt <= 1:
        return held
    return max(held, min(held * min(_MOST, burnt, _times(state.history.rates)), _MOST_SECONDS))


def _times(rates: Rates) -> int:
    """How often the load came: to half of the busiest minute until then, from below that."""
    known = rates[np.isfinite(rates)]
    there = (known > 0) & (known >= _CAME * np.maximum.accumulate(known))
    return int(there[:1].sum() + (there[1:] & ~there[:-1]).sum())
