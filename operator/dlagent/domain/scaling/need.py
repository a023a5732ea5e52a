"""How many replicas are needed now, by what is measured and by what may come.

Called by dlagent.domain.scaling.decision, which holds on to the number for a while and keeps it
within bounds. Pure; times are Unix seconds, rates requests/s.

With a history the number is a newsvendor's: that of the least replicas x time + price x missed
requests, over all paths that the load may take (Arrow, Harris and Marschak, Econometrica 19, 1951).
Without one, the present load decides.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlagent.domain.scaling.budget import price
from dlagent.domain.scaling.capacity import capacity
from dlagent.domain.scaling.forecast import predicted
from dlagent.domain.scaling.foresight import Foresight
from dlagent.domain.scaling.model import Foreseen, Reason, ScalingSettings, ScalingState
from dlagent.domain.scaling.signals import Signals, Supply
from dlagent.domain.scaling.values import Measured, NoData

Floats = NDArray[np.float64]

# Fewer replicas must hold at a load this much above the present one, so that a load at the edge of
# what n replicas can do does not make them n, n + 1, n, ... Where few requests were counted, the
# load is less certain: a Poisson count of k has the standard deviation sqrt(k). With a forecast,
# which knows how the load moves, so only for a while after some that were taken away were missed.
_LOWER_MARGIN = 0.1
_LOWER_DEVIATIONS = 3.0
_REGRET_SECONDS = 3600.0
# What is started is charged so many starts beside its time: one while it starts and nobody gains,
# and two for being kept when the load has gone.
_KEPT_STARTS = 3.0
_SHORTEST_DRAIN_SECONDS = 15.0
_ORDINARY_QUEUE = 0.75  # of a batch may wait at each replica: they go into the next
_REPLACED_AT_MOST = 0.25  # of the replicas, for pods that do not come up
# Where no rate keeps the promise, replicas follow the load so that the queue does not grow.
_BEST_EFFORT_LOAD = 0.8
_BELIEVED = math.log(4.0)  # a forecast further from the present load than this is not
_LOOKED_AT = 64  # numbers at a time, however many replicas there may be


@dataclass(frozen=True, slots=True)
class Able:
    """Requests/s of one replica: within the promise, and at all; `feasible`: at any rate."""

    rate: float
    saturation: float
    feasible: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """What is foreseen of the next `seconds`, whatever the number of replicas: as Foreseen has it;
    `predicted` as dlagent.domain.scaling.forecast has it.
    """

    predicted: float
    seconds: float
    rate: float
    peak: float
    price: float


@dataclass(frozen=True, slots=True)
class Need:
    """`replicas` now; `to_lower` is how many must remain when some are taken away."""

    replicas: int
    to_lower: int
    reason: Reason
    message: str
    expected: Expected | None = None


def able(signals: Signals, settings: ScalingSettings) -> Able | NoData:
    """What one replica can do, in requests as they are now."""
    service = settings.service
    if service is None:
        return NoData("the artifact that serves has no measured batch times")
    inferences = capacity(service, settings.threshold_seconds, settings.objective)
    feasible = inferences > 0
    if not feasible:
        inferences = _BEST_EFFORT_LOAD * service.saturation
    rows = signals.inferences_per_request
    return Able(inferences / rows, service.saturation / rows, feasible)


def enough(rate: float, able: Able) -> int:
    """So many replicas answer a steady rate within the promise; at least one."""
    return max(1, math.ceil(rate / able.rate - 1e-9))


def need(
    signals: Signals, settings: ScalingSettings, state: ScalingState, able: Able, now: float
) -> Need:
    """By the rate, by what may come, and by what waits."""
    rate = signals.arrivals.value if isinstance(signals.arrivals, Measured) else 0.0
    excess = _excess(signals, settings)
    by_rate = enough(rate, able)
    foreseen = _foreseen(rate, signals, settings, state, able, now)
    by_load = by_rate if foreseen is None else foreseen[0]
    replicas = max(by_load, _with_backlog(rate, excess, signals, settings, able))
    stuck = min(signals.count(Supply.STUCK), math.ceil(_REPLACED_AT_MOST * replicas))
    if signals.count(Supply.UNSCHEDULABLE):
        # What waits grows as long as nodes are missing, and would ask for ever more of them.
        replicas = min(replicas, max(by_load, signals.replicas - stuck))
    margin = max(_LOWER_MARGIN, _LOWER_DEVIATIONS / math.sqrt(max(1.0, signals.counted)))
    to_lower = replicas
    if foreseen is None:
        to_lower = max(replicas, enough((1 + margin) * rate, able))
    elif state.regretted_at is not None and 0 <= now - state.regretted_at < _REGRET_SECONDS:
        careful = _foreseen(rate, signals, settings, state, able, now, margin)
        to_lower = max(replicas, careful[0] if careful is not None else 1)
    if rate == 0 and excess == 0 and replicas == 1:
        reason = Reason.NO_TRAFFIC
    elif replicas > by_load:
        reason = Reason.BACKLOG
    else:
        reason = Reason.LOAD if replicas == by_rate else Reason.FORECAST
    expected = foreseen[1] if foreseen is not None else None
    message = _explain(rate, excess, stuck, replicas + stuck, settings, able, expected)
    return Need(replicas + stuck, to_lower + stuck, reason, message, expected)


def foreseen_with(
    replicas: int, expected: Expected, foresight: Foresight, present: int, able: Able
) -> Foreseen:
    """What is expected with that number of replicas, of which `present` are there now."""
    few = np.array([replicas, max(1, replicas - 1)], float)
    missed = foresight.missed(expected.predicted, few, max(1, present), able.saturation)
    with_one_less = float(missed[1]) if replicas > 1 else expected.rate * expected.seconds
    return Foreseen(
        seconds=expected.seconds,
        rate=expected.rate,
        peak=expected.peak,
        missed=float(missed[0]),
        missed_with_one_less=with_one_less,
        price=expected.price,
    )


def _foreseen(
    rate: float,
    signals: Signals,
    settings: ScalingSettings,
    state: ScalingState,
    able: Able,
    now: float,
    margin: float = 0.0,
) -> tuple[int, Expected] | None:
    """The cheapest number at a load that is higher by a margin than what is foreseen, and what it
    rests on; None while there is nothing to learn from.
    """
    foresight = state.foresight
    if foresight is None or not able.feasible:
        return None
    floor = foresight.forecast.floor
    present = math.log(rate + floor)
    coming = predicted(foresight.forecast, state.history, rate)
    coming = min(max(coming, present - _BELIEVED), present + _BELIEVED)
    coming += math.log1p(margin)
    expected = math.exp(coming)
    peak = expected * float(foresight.peaks[foresight.forecast.group(coming)])
    worth = price(state.budget, settings.objective, able.rate, rate, now)
    current = max(1, signals.replicas)
    seconds = foresight.outlook.lead_seconds + foresight.outlook.hold_seconds

    def weighed(numbers: Floats) -> Floats:
        missed = foresight.missed(coming, numbers, current, able.saturation)
        started = np.maximum(0.0, numbers - current) * _KEPT_STARTS * settings.pod_start_seconds
        found: Floats = numbers * seconds + started + worth * missed
        return found

    likely = min(2 * max(expected, peak) / able.rate, 2.0 * settings.max_replicas)
    most = 1 + max(current, math.ceil(likely))
    replicas = _cheapest(weighed, most)
    if not expected / able.saturation <= replicas < most:
        # The cheapest could not even keep up: where all looked at miss all, none is the cheapest.
        # Or more than are looked at may be cheaper still. Then the load says how many would do.
        replicas = max(replicas, enough(expected, able))
    return replicas, Expected(
        predicted=coming,
        seconds=seconds,
        rate=max(0.0, expected - floor),
        peak=max(0.0, peak - floor),
        price=worth,
    )


def _cheapest(weighed: Callable[[Floats], Floats], most: int) -> int:
    """The number from 1 to `most` with the least cost, which `weighed` tells.

    Some numbers are looked at first, then those between.
    """
    low, high = 1, most
    while high - low >= _LOOKED_AT:
        numbers = np.unique(np.round(np.geomspace(low, high, _LOOKED_AT)))
        best = int(np.argmin(weighed(numbers)))
        low = int(numbers[max(0, best - 1)])
        high = int(numbers[min(best + 1, len(numbers) - 1)])
    return low + int(np.argmin(weighed(np.arange(low, high + 1.0))))


def _excess(signals: Signals, settings: ScalingSettings) -> float:
    """Requests that wait beyond those that the next batches take, at the replicas that answer."""
    at_once = settings.service.at_once if settings.service is not None else 1
    ordinary = _ORDINARY_QUEUE * at_once * signals.count(Supply.READY)
    return max(0.0, signals.backlog - ordinary / signals.inferences_per_request)


def _with_backlog(
    rate: float, excess: float, signals: Signals, settings: ScalingSettings, able: Able
) -> int:
    """So many work off what will still wait when they are ready, beside the load."""
    if excess == 0:
        return 1
    grows = rate - able.saturation * signals.count(Supply.READY)
    left = max(0.0, excess + settings.lead_seconds * grows)
    drain = max(_SHORTEST_DRAIN_SECONDS, settings.pod_start_seconds / 2)
    # What waits, waits at the pods that are there: others can only take from them what comes.
    helpful = min(left / drain, rate)
    return enough(rate + helpful, able) if left > 0 else 1


def _explain(
    rate: float,
    excess: float,
    stuck: int,
    replicas: int,
    settings: ScalingSettings,
    able: Able,
    expected: Expected | None,
) -> str:
    within = f"{settings.threshold_seconds * 1000:.0f} ms"
    load = f"{rate:.3g} requests/s arrive" if rate > 0 else "No requests arrive"
    if expected is not None:
        minutes = expected.seconds / 60
        load += (
            f", {expected.rate:.3g}/s in the next {minutes:.0f} min, at times {expected.peak:.3g}/s"
        )
    if excess >= 1:
        load += f" and {excess:.0f} wait"
    one = f"one replica answers {able.rate:.3g}/s within {within}"
    if not able.feasible:
        one = f"one replica answers {able.rate:.3g}/s, none within {within}"
    said = f"{load}; {one}: {told(replicas)}"
    return f"{said}, {stuck} of them for pods that do not come up." if stuck else f"{said}."


def told(count: int) -> str:
    """For people."""
    return "1 replica" if count == 1 else f"{count} replicas"
