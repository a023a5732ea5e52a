"""What the operator's metrics say of one agent. Called by `scaling`, and by `explain` in part."""

from collections import Counter

from dlagent.domain.scaling.cost import Usage
from dlagent.domain.scaling.latency import Mixture
from dlagent.domain.scaling.model import ScalingSettings
from dlagent.domain.scaling.signals import Signals, Supply
from dlagent.domain.scaling.values import Measured, NoData, NoTraffic
from dlagent.domain.scaling.view import ScalingView
from dlagent.reconcile.ports import Key
from dlagent.reconcile.scaled import Scaled
from dlagent.runtime.metrics import AgentFigures

_SHARES = (0.5, 0.99)


def figures_of(
    key: Key,
    scaled: Scaled,
    settings: ScalingSettings | None,
    signals: Signals | None,
    view: ScalingView | None,
    requests: float,
    good: float,
    usage: Usage,
) -> AgentFigures:
    """What is not known is absent, never zero. `settings` are those of the last decision."""
    decision = view.decision if view is not None else None
    bounds = settings if decision is not None else None
    return AgentFigures(
        namespace=key.namespace,
        name=key.name,
        requests=requests,
        good=good,
        objective=scaled.settings.objective,
        threshold_seconds=scaled.settings.threshold_seconds,
        attained=view.slo.attained if view is not None else None,
        desired=decision.desired if decision is not None else None,
        needed=decision.needed if decision is not None else None,
        reason=decision.reason if decision is not None else None,
        min_replicas=bounds.min_replicas if bounds is not None else None,
        max_replicas=bounds.max_replicas if bounds is not None else None,
        foreseen=decision.foreseen if decision is not None else None,
        pod_start_seconds=settings.pod_start_seconds if settings is not None else None,
        unready=_unready(signals) if signals is not None else {},
        ready=signals.count(Supply.READY) if signals is not None else None,
        capacity=decision.capacity if decision is not None else None,
        arrivals=arrivals(signals) if signals is not None else None,
        backlog=waiting(signals) if signals is not None else None,
        latency_seconds=_latency(signals),
        replica_seconds=usage.replica_seconds,
        accelerator=scaled.accelerator,
        accelerator_seconds=usage.accelerator_seconds,
        cost=usage.cost if scaled.price is not None else None,
    )


def _latency(signals: Signals | None) -> dict[float, float]:
    latency = signals.latency if signals is not None else None
    if not isinstance(latency, Mixture):
        return {}
    return {share: latency.quantile(share) for share in _SHARES}


def pod_counts(signals: Signals) -> dict[str, int]:
    """Pods of the revision that serves, by what they are worth; states without any are absent."""
    return dict(Counter(pod.supply.name.lower() for pod in signals.pods if pod.serving))


def _unready(signals: Signals) -> dict[str, int]:
    """Without those that answer, which are a metric of their own."""
    ready = Supply.READY.name.lower()
    return {state: count for state, count in pod_counts(signals).items() if state != ready}


def waiting(signals: Signals) -> float | None:
    """What the pods say themselves: with a response cache a request that waits counts for more."""
    if isinstance(signals.arrivals, NoData):
        return None
    return signals.backlog * min(1.0, signals.inferences_per_request)


def arrivals(signals: Signals) -> float | None:
    """Requests/s; None where nothing is known of them."""
    reading = signals.arrivals
    if isinstance(reading, Measured):
        return reading.value
    return 0.0 if isinstance(reading, NoTraffic) else None
