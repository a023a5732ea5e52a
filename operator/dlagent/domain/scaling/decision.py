"""How many replicas: `decide(state, signals, settings, now) -> (state, Decision)`.

Pure, and called at each tick by dlagent.reconcile.scaling. What it decides by:

- up at once, to what the present rate and the backlog need;
- down only after a whole hold time in which fewer would have done, at most a quarter a minute;
- never down without data, and after a gap in the data not before another hold time;
- always within the bounds.

docs/explanation/scaling.md tells the reasons. Times are Unix seconds, rates requests/s.
"""

import math
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from dlagent.domain.scaling.capacity import capacity
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.domain.scaling.signals import Signals, Supply
from dlagent.domain.scaling.values import Measured, NoData

History = tuple[tuple[float, int], ...]

# Fewer replicas must hold at a load this much above the present one, so that a load at the edge of
# what n replicas can do does not make them n, n + 1, n, ... Where few requests were counted, the
# load is less certain: a Poisson count of k has the standard deviation sqrt(k).
_LOWER_MARGIN = 0.1
_LOWER_DEVIATIONS = 3.0
_SLOWEST_LOWERING_SECONDS = 60.0
_LOWER_AT_MOST = 0.25  # of the replicas, at a time
_SHORTEST_DRAIN_SECONDS = 15.0
_ORDINARY_QUEUE = 0.75  # of a batch may wait at each replica: they go into the next
_MISSED_TICKS = 3  # after so long without a decision what was seen before counts no more
_REPLACED_AT_MOST = 0.25  # of the replicas, for pods that do not come up
# Where no rate keeps the promise, replicas follow the load so that the queue does not grow.
_BEST_EFFORT_LOAD = 0.8


class Reason(StrEnum):
    """Why the number is what it is."""

    INITIAL = "Initial"
    LOAD = "Load"
    BACKLOG = "Backlog"
    HOLDING = "Holding"
    NO_TRAFFIC = "NoTraffic"
    NO_DATA = "NoData"
    BOUNDS = "Bounds"


class Limit(Enum):
    """What keeps the number from being the one that is needed."""

    AT_MAXIMUM = "maxReplicas is lower"
    AT_MINIMUM = "minReplicas is higher"
    INFEASIBLE = "no number of replicas keeps the promise"
    UNSCHEDULABLE = "no node takes the pods"


@dataclass(frozen=True, slots=True)
class ScalingSettings:
    """What does not change from tick to tick.

    `service` is how long a batch takes, None where it is not known. `hold_seconds` is how long
    fewer must have been enough, `pod_start_seconds` how long a pod takes to be ready.
    """

    service: ServiceTime | None
    threshold_seconds: float
    objective: float
    min_replicas: int
    max_replicas: int
    tick_seconds: float
    hold_seconds: float
    pod_start_seconds: float

    @property
    def window_seconds(self) -> float:
        """For how long fewer replicas must have been enough."""
        return max(self.hold_seconds, 3 * self.pod_start_seconds)


@dataclass(frozen=True, slots=True)
class ScalingState:
    """What one tick hands to the next.

    A history holds times, rising, and numbers, falling: the first number is the highest of the
    hold time. `enough` is of what must remain when some are taken away, `needed` of the need.
    """

    since: float | None = None  # since when there has been a decision on data at every tick
    last: float | None = None
    lowered_at: float | None = None
    enough: History = ()
    needed: History = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """`desired` replicas and what they rest on.

    `capacity`: requests/s that one replica answers within the promise (where none can, what it
    answers at all); None where not known. `needed`: what would be enough without bounds, the
    highest of the hold time (at least so many, while no node takes a pod); None without data.
    `blind`: why there is no data; None where there is.
    """

    desired: int
    reason: Reason
    message: str
    capacity: float | None = None
    needed: int | None = None
    limit: Limit | None = None
    blind: str | None = None


@dataclass(frozen=True, slots=True)
class _Need:
    """`replicas` now; `to_lower` is how many must remain when some are taken away."""

    replicas: int
    to_lower: int
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class _Able:
    """Requests/s of one replica, and whether it keeps the promise at any rate."""

    rate: float
    feasible: bool


def decide(
    state: ScalingState, signals: Signals, settings: ScalingSettings, now: float
) -> tuple[ScalingState, Decision]:
    """The number of replicas from now on; `signals.replicas` are asked for so far."""
    able = _able(signals, settings)
    if isinstance(able, NoData):
        return state, _blind(signals, settings, able.why, None)
    if isinstance(signals.arrivals, NoData):
        return state, _blind(signals, settings, signals.arrivals.why, able.rate)
    need = _need(signals, settings, able)
    state = _remember(state, need, settings, now)
    desired, reason, message = need.replicas, need.reason, need.message
    if desired < signals.replicas:
        desired = _lowered(state, signals, settings, now)
        if desired == signals.replicas:
            reason = Reason.HOLDING
        else:
            state = replace(state, lowered_at=now)
            message += f" Fewer were enough for {settings.window_seconds:.0f} s."
    bounded = _clamp(desired, settings)
    needed = state.needed[0][1]
    return state, Decision(
        desired=bounded,
        reason=reason if bounded == desired else Reason.BOUNDS,
        message=message,
        capacity=able.rate,
        needed=needed,
        limit=_limit(signals, settings, able, needed),
    )


def _blind(signals: Signals, settings: ScalingSettings, why: str, rate: float | None) -> Decision:
    held = _clamp(signals.replicas, settings)
    message = f"Nothing is known of the load: {why}. {_replicas(held)} as before."
    return Decision(held, Reason.NO_DATA, message, rate, blind=why)


def _able(signals: Signals, settings: ScalingSettings) -> _Able | NoData:
    service = settings.service
    if service is None:
        return NoData("the artifact that serves has no measured batch times")
    inferences = capacity(service, settings.threshold_seconds, settings.objective)
    feasible = inferences > 0
    if not feasible:
        inferences = _BEST_EFFORT_LOAD * service.saturation
    return _Able(inferences / signals.inferences_per_request, feasible)


def _need(signals: Signals, settings: ScalingSettings, able: _Able) -> _Need:
    rate = signals.arrivals.value if isinstance(signals.arrivals, Measured) else 0.0
    excess = _excess(signals, settings)
    drain = max(_SHORTEST_DRAIN_SECONDS, settings.pod_start_seconds / 2)
    by_rate = _enough(rate, able)
    replicas = _enough(rate + excess / drain, able)
    stuck = min(signals.count(Supply.STUCK), math.ceil(_REPLACED_AT_MOST * replicas))
    if signals.count(Supply.UNSCHEDULABLE):
        # What waits grows as long as nodes are missing, and would ask for ever more of them.
        replicas = min(replicas, max(by_rate, signals.replicas - stuck))
    margin = max(_LOWER_MARGIN, _LOWER_DEVIATIONS / math.sqrt(max(1.0, signals.counted)))
    to_lower = max(replicas, _enough((1 + margin) * rate, able))
    if rate == 0 and excess == 0:
        reason = Reason.NO_TRAFFIC
    else:
        reason = Reason.BACKLOG if replicas > by_rate else Reason.LOAD
    message = _explain(rate, excess, stuck, replicas + stuck, settings, able)
    return _Need(replicas + stuck, to_lower + stuck, reason, message)


def _excess(signals: Signals, settings: ScalingSettings) -> float:
    """Requests that wait beyond those that the next batches take, at the replicas that answer."""
    service = settings.service
    at_once = service.instances * service.max_batch if service is not None else 1
    ordinary = _ORDINARY_QUEUE * at_once * signals.count(Supply.READY)
    return max(0.0, signals.backlog - ordinary / signals.inferences_per_request)


def _enough(rate: float, able: _Able) -> int:
    return max(1, math.ceil(rate / able.rate - 1e-9))


def _explain(
    rate: float,
    excess: float,
    stuck: int,
    replicas: int,
    settings: ScalingSettings,
    able: _Able,
) -> str:
    within = f"{settings.threshold_seconds * 1000:.0f} ms"
    load = f"{rate:.3g} requests/s arrive" if rate > 0 else "No requests arrive"
    if excess >= 1:
        load += f" and {excess:.0f} wait"
    one = f"one replica answers {able.rate:.3g}/s within {within}"
    if not able.feasible:
        one = f"one replica answers {able.rate:.3g}/s, none within {within}"
    said = f"{load}; {one}: {_replicas(replicas)}"
    return f"{said}, {stuck} of them for pods that do not come up." if stuck else f"{said}."


def _replicas(count: int) -> str:
    return "1 replica" if count == 1 else f"{count} replicas"


def _remember(
    state: ScalingState, need: _Need, settings: ScalingSettings, now: float
) -> ScalingState:
    gap = _MISSED_TICKS * settings.tick_seconds
    if state.last is None or not 0 <= now - state.last <= gap:
        state = ScalingState(since=now)
    first = now - settings.window_seconds
    return replace(
        state,
        last=now,
        enough=_pushed(state.enough, first, now, need.to_lower),
        needed=_pushed(state.needed, first, now, need.replicas),
    )


def _pushed(history: History, first: float, now: float, number: int) -> History:
    kept = tuple(item for item in history if item[0] >= first and item[1] > number)
    return (*kept, (now, number))


def _lowered(state: ScalingState, signals: Signals, settings: ScalingSettings, now: float) -> int:
    """How many remain: as many as there are, unless fewer were enough for the whole hold time."""
    current = signals.replicas
    seen_for = now - state.since if state.since is not None else 0.0
    pause = now - state.lowered_at if state.lowered_at is not None else math.inf
    if signals.missing or seen_for < settings.window_seconds:
        return current
    if pause < _SLOWEST_LOWERING_SECONDS:
        return current
    step = max(1, int(_LOWER_AT_MOST * current))
    return min(current, max(state.enough[0][1], current - step))


def _clamp(replicas: int, settings: ScalingSettings) -> int:
    return min(max(replicas, settings.min_replicas), settings.max_replicas)


def _limit(signals: Signals, settings: ScalingSettings, able: _Able, needed: int) -> Limit | None:
    if not able.feasible:
        return Limit.INFEASIBLE
    if needed > settings.max_replicas:
        return Limit.AT_MAXIMUM
    if signals.count(Supply.UNSCHEDULABLE):
        return Limit.UNSCHEDULABLE
    return Limit.AT_MINIMUM if needed < settings.min_replicas else None
