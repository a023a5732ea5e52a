"""What would change a decision: at which rates the number becomes another one, and from when.

Called where somebody asks for an explanation (dlagent.reconcile.explain), not at each tick: it
asks `need` again and again. Pure; times are Unix seconds, rates requests/s.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from dlagent.domain.scaling.model import (
    LOWERING_PAUSE_SECONDS,
    ScalingSettings,
    ScalingState,
)
from dlagent.domain.scaling.need import Able, Need, need
from dlagent.domain.scaling.patience import patience_seconds
from dlagent.domain.scaling.signals import Signals
from dlagent.domain.scaling.values import Measured, NoData, NoTraffic

_PRECISION = 0.01  # of a rate
_FURTHEST = 16.0  # times the present load, or what the replicas can do: nobody asks beyond that


@dataclass(frozen=True, slots=True)
class Turning:
    """`more_from`: from which rate on one replica more would be asked for at once.

    `fewer_below`: the rate below which one less would do. Each is None where no rate does that.
    They are those next to the present rate: a load that is higher and moves less may need fewer.
    `lower_from`: when fewer may be the decision at the earliest, if the load stays as it is; None
    while the present load needs them all.
    """

    more_from: float | None
    fewer_below: float | None
    lower_from: float | None


def turning(
    signals: Signals,
    settings: ScalingSettings,
    state: ScalingState,
    able: Able,
    desired: int,
    now: float,
) -> Turning:
    """Around the number that was decided; all but the rate of the arrivals stays as it is.

    `state` is the one after that decision.
    """
    rate = signals.arrivals.value if isinstance(signals.arrivals, Measured) else 0.0
    seen = replace(signals, replicas=desired)

    def needed(at: float) -> Need:
        return need(_with_rate(seen, rate, at, now), settings, state, able, now)

    def asks_for_more(at: float) -> bool:
        return needed(at).replicas > desired

    def needs_all(at: float) -> bool:
        return needed(at).to_lower >= desired

    furthest = _FURTHEST * max(rate, desired * able.rate)
    more_from = _first(asks_for_more, rate, furthest)
    fewer_below = None
    if desired > 1 and not isinstance(signals.arrivals, NoData) and not needs_all(0.0):
        between = (0.0, rate) if needs_all(rate) else (rate, furthest)
        fewer_below = _first(needs_all, *between)
    return Turning(more_from, fewer_below, _lower_from(state, settings, desired, now))


def _with_rate(signals: Signals, rate: float, other: float, now: float) -> Signals:
    """The same with another rate, as if counted over the same time."""
    if other <= 0:
        return replace(signals, arrivals=NoTraffic(now), counted=0.0)
    counted = signals.counted * other / rate if rate > 0 else signals.counted
    return replace(signals, arrivals=Measured(other, now), counted=counted)


def _first(holds: Callable[[float], bool], lowest: float, furthest: float) -> float | None:
    """A rate from which on it holds, to a hundredth, and below which it does not.

    None where it does not hold at `furthest`; `lowest` where it holds there already.
    """
    if holds(lowest):
        return lowest
    if not holds(furthest):
        return None
    low, high = max(lowest, furthest / 2**16), furthest
    while high > (1 + _PRECISION) * low:
        middle = math.sqrt(low * high)
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def _lower_from(
    state: ScalingState, settings: ScalingSettings, desired: int, now: float
) -> float | None:
    """When everything that keeps the number up is older than the hold time."""
    if state.since is None or not state.enough or state.enough[-1][1] >= desired:
        return None
    kept_up = [at for at, number in state.enough if number >= desired]
    held_until = max([state.since, *kept_up]) + patience_seconds(state, settings, now)
    if state.lowered_at is None:
        return held_until
    return max(held_until, state.lowered_at + LOWERING_PAUSE_SECONDS)
