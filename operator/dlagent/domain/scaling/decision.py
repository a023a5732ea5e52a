"""How many replicas: `decide(state, signals, settings, now) -> (state, Decision)`.

Pure, and called at each tick by dlagent.reconcile.scaling and by the simulator. What it decides by:

- up at once, to what the load, what may come of it, and the backlog need;
- down only after a whole hold time in which fewer would have done, at most a quarter a minute;
- never down without data, and after a gap in the data not before another hold time;
- always within the bounds.

docs/explanation/scaling.md tells the reasons. Times are Unix seconds, rates requests/s.
"""

import math
from dataclasses import replace

from dlagent.domain.scaling.budget import spent
from dlagent.domain.scaling.forecast import as_the_day_before
from dlagent.domain.scaling.foresight import Outlook, foresee
from dlagent.domain.scaling.history import STEP_SECONDS, recorded
from dlagent.domain.scaling.model import (
    LOWERING_PAUSE_SECONDS,
    Decision,
    Foreseen,
    Limit,
    Numbers,
    Reason,
    ScalingSettings,
    ScalingState,
)
from dlagent.domain.scaling.need import Able, Need, able, enough, foreseen_with, need, told
from dlagent.domain.scaling.patience import patience_seconds
from dlagent.domain.scaling.signals import Signals, Supply
from dlagent.domain.scaling.values import Measured, NoData

_SOON_SECONDS = 1800.0  # more needed so soon after some were taken away: they were taken too early
_LOWER_AT_MOST = 0.25  # of the replicas, at a time
_MISSED_TICKS = 3  # after so long without a decision what was seen before counts no more
_LEARN_SECONDS = 1800.0
_LEARN_EARLY_SECONDS = 300.0  # in the first hours, when each minute tells much
_EARLY_STEPS = 240
_FEWEST_STEPS = 10  # minutes: before that nothing is known of how the load moves


def decide(
    state: ScalingState, signals: Signals, settings: ScalingSettings, now: float
) -> tuple[ScalingState, Decision]:
    """The number of replicas from now on; `signals.replicas` are asked for so far."""
    if isinstance(signals.arrivals, NoData):
        return state, _blind(state, signals, settings, signals.arrivals.why, now)
    one = able(signals, settings)
    if isinstance(one, NoData):
        return state, _blind(state, signals, settings, one.why, now)
    state = _learned(_experienced(state, signals, now), settings, now)
    found = need(signals, settings, state, one, now)
    patience = patience_seconds(state, settings, now)
    state = _remember(state, found, signals, settings, patience, now)
    desired, reason, message = found.replicas, found.reason, found.message
    if desired < signals.replicas > settings.min_replicas:
        desired = _lowered(state, signals, settings, patience, now)
        if desired == signals.replicas:
            reason = Reason.HOLDING
        else:
            state = replace(state, lowered_at=now)
            for_now = f": {told(desired)} for now" if desired > found.replicas else ""
            message += f" Fewer were enough for {patience:.0f} s{for_now}."
    bounded = _clamp(desired, settings)
    at_least = found.replicas < bounded == settings.min_replicas
    needed = state.needed[0][1]
    return state, Decision(
        desired=bounded,
        reason=Reason.BOUNDS if at_least or bounded != desired else reason,
        message=message,
        capacity=one.rate,
        needed=needed,
        limit=_limit(signals, settings, one, needed),
        foreseen=_foreseen(state, found, bounded, signals, one),
    )


def _foreseen(
    state: ScalingState, found: Need, replicas: int, signals: Signals, one: Able
) -> Foreseen | None:
    if found.expected is None or state.foresight is None:
        return None
    return foreseen_with(replicas, found.expected, state.foresight, signals.replicas, one)


def _experienced(state: ScalingState, signals: Signals, now: float) -> ScalingState:
    """With what arrived in the minute before, and what the budget lost in the last tick."""
    rate = signals.arrivals.value if isinstance(signals.arrivals, Measured) else 0.0
    history = state.history
    if rate > 0 or len(history.rates):  # before the first request there is nothing to learn
        seconds = signals.counted / rate if rate > 0 else STEP_SECONDS
        history = recorded(history, rate, seconds, now)
    budget = spent(state.budget, signals.requests, signals.missed, now)
    rows = signals.inferences_per_request
    return replace(state, history=history, budget=budget, inferences_per_request=rows)


def _learned(state: ScalingState, settings: ScalingSettings, now: float) -> ScalingState:
    """With foresight that is at most half an hour old.

    It rests on the history until a moment that the clock gives, so that an operator which has
    started anew comes to the same.
    """
    steps = len(state.history.rates)
    if settings.service is None or steps < _FEWEST_STEPS:
        return state
    every = _LEARN_EARLY_SECONDS if steps < _EARLY_STEPS else _LEARN_SECONDS
    until = math.floor((now - settings.phase_seconds) / every) * every + settings.phase_seconds
    outlook = Outlook(
        service=settings.service,
        threshold_seconds=settings.threshold_seconds,
        lead_seconds=5 * math.ceil(settings.lead_seconds / 5),
        hold_seconds=5 * math.ceil(settings.window_seconds / 5),
    )
    known = state.foresight
    # What was learned in the future was so by a clock that has been put back since.
    if known is not None and known.outlook == outlook and until <= known.learned_until <= now:
        return state
    return replace(state, foresight=foresee(state.history, outlook, until))


def _blind(
    state: ScalingState, signals: Signals, settings: ScalingSettings, why: str, now: float
) -> Decision:
    """As before; more, where the day before says that the load has grown since it was lost."""
    one, due, message = None, 0, ""
    if state.inferences_per_request is not None:  # signals without data do not tell it
        rows = state.inferences_per_request
        one = able(replace(signals, inferences_per_request=rows), settings)
        expected = as_the_day_before(state.history, now, settings.lead_seconds)
        if isinstance(one, Able) and expected is not None:
            due = enough(expected, one)
            message = f", since {expected:.3g} requests/s are due as on the day before."
    held = _clamp(max(signals.replicas, due), settings)
    message = message if message and held > signals.replicas else " as before."
    return Decision(
        held,
        Reason.NO_DATA,
        f"Nothing is known of the load: {why}. {told(held)}{message}",
        one.rate if isinstance(one, Able) else None,
        blind=why,
    )


def _remember(
    state: ScalingState,
    found: Need,
    signals: Signals,
    settings: ScalingSettings,
    patience: float,
    now: float,
) -> ScalingState:
    gap = _MISSED_TICKS * settings.tick_seconds
    if state.last is None or not 0 <= now - state.last <= gap:
        state = replace(state, since=now, last=None, lowered_at=None, enough=(), needed=())
    first = now - patience
    lowered = state.lowered_at is not None and now - state.lowered_at < _SOON_SECONDS
    regretted = lowered and found.replicas > signals.replicas
    return replace(
        state,
        last=now,
        regretted_at=now if regretted else state.regretted_at,
        enough=_pushed(state.enough, first, now, found.to_lower),
        needed=_pushed(state.needed, first, now, found.replicas),
    )


def _pushed(numbers: Numbers, first: float, now: float, number: int) -> Numbers:
    kept = tuple(item for item in numbers if item[0] >= first and item[1] > number)
    return (*kept, (now, number))


def _lowered(
    state: ScalingState, signals: Signals, settings: ScalingSettings, patience: float, now: float
) -> int:
    """How many remain: as many as there are, unless fewer were enough for the whole hold time."""
    current = signals.replicas
    seen_for = now - state.since if state.since is not None else 0.0
    pause = now - state.lowered_at if state.lowered_at is not None else math.inf
    if signals.missing or signals.overdue or seen_for < patience:
        return current
    if pause < LOWERING_PAUSE_SECONDS:
        return current
    step = max(1, int(_LOWER_AT_MOST * current))
    return min(current, max(state.enough[0][1], current - step, settings.min_replicas))


def _clamp(replicas: int, settings: ScalingSettings) -> int:
    return min(max(replicas, settings.min_replicas), settings.max_replicas)


def _limit(signals: Signals, settings: ScalingSettings, one: Able, needed: int) -> Limit | None:
    if not one.feasible:
        return Limit.INFEASIBLE
    if needed > settings.max_replicas:
        return Limit.AT_MAXIMUM
    if signals.count(Supply.UNSCHEDULABLE):
        return Limit.UNSCHEDULABLE
    return Limit.AT_MINIMUM if needed < settings.min_replicas else None
