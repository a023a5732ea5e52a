"""What the scaler knows of one agent, for who asks why. Called by `scaling`, on demand only."""

from dataclasses import replace

from dlagent.domain.scaling.latency import Mixture
from dlagent.domain.scaling.model import ScalingSettings, ScalingState
from dlagent.domain.scaling.need import able
from dlagent.domain.scaling.patience import patience_seconds
from dlagent.domain.scaling.schedule import told
from dlagent.domain.scaling.signals import Signals
from dlagent.domain.scaling.situation import Decided, Load, Replica, Situation
from dlagent.domain.scaling.turning import Turning, turning
from dlagent.domain.scaling.values import NoData
from dlagent.domain.scaling.view import ScalingView
from dlagent.reconcile.figures import arrivals, pod_counts, waiting
from dlagent.reconcile.scaled import Scaled

_P99 = 0.99


def situation(
    scaled: Scaled,
    settings: ScalingSettings,
    state: ScalingState,
    signals: Signals,
    view: ScalingView,
    starts: int,
    now: float,
) -> Situation:
    """As of the last tick. `settings` are those decided by; `starts` is how many were learned of.

    `now` is when that tick was, in Unix seconds.
    """
    return Situation(
        at=now,
        objective=settings.objective,
        threshold_seconds=settings.threshold_seconds,
        load=_load(signals, view),
        replica=_replica(scaled, settings, state, signals, starts),
        mode=scaled.mode,
        paused=scaled.paused,
        foreseen=view.decision.foreseen if view.decision is not None else None,
        decided=_decided(settings, state, view, now),
        turning=_turning(settings, state, signals, view, now),
    )


def _load(signals: Signals, view: ScalingView) -> Load:
    latency = signals.latency
    why = signals.arrivals.why if isinstance(signals.arrivals, NoData) else None
    return Load(
        arrivals=arrivals(signals),
        why=why,
        waiting=waiting(signals),
        rows_per_request=signals.inferences_per_request,
        p99_seconds=latency.quantile(_P99) if isinstance(latency, Mixture) else None,
        pods=pod_counts(signals),
        silent=signals.missing,
        skewed=view.skew.pod if view.skew is not None else None,
    )


def _replica(
    scaled: Scaled, settings: ScalingSettings, state: ScalingState, signals: Signals, starts: int
) -> Replica:
    rows = state.inferences_per_request
    if isinstance(signals.arrivals, NoData) and rows is not None:  # decided by those before
        signals = replace(signals, inferences_per_request=rows)
    one, service = able(signals, settings), settings.service
    if isinstance(one, NoData) or service is None:
        return Replica(start_seconds=settings.pod_start_seconds, starts=starts)
    return Replica(
        capacity=one.rate,
        feasible=one.feasible,
        saturation=one.saturation,
        first_seconds=service.seconds(1),
        full_seconds=service.seconds(service.max_batch),
        max_batch=service.max_batch,
        learned=service != scaled.settings.service,
        start_seconds=settings.pod_start_seconds,
        starts=starts,
    )


def _decided(
    settings: ScalingSettings, state: ScalingState, view: ScalingView, now: float
) -> Decided | None:
    decision, scheduled = view.decision, view.scheduled
    if decision is None:
        return None
    return Decided(
        desired=decision.desired,
        reason=decision.reason,
        message=decision.message,
        needed=decision.needed,
        limit=decision.limit.name if decision.limit is not None else None,
        min_replicas=settings.min_replicas,
        max_replicas=settings.max_replicas,
        scheduled=told(scheduled) if scheduled is not None else None,
        hold_seconds=patience_seconds(state, settings, now),
    )


def _turning(
    settings: ScalingSettings,
    state: ScalingState,
    signals: Signals,
    view: ScalingView,
    now: float,
) -> Turning | None:
    one, decision = able(signals, settings), view.decision
    if isinstance(one, NoData) or decision is None or decision.blind is not None:
        return None
    return turning(signals, settings, state, one, decision.desired, now)
