"""What the operator's metrics say of one agent. Called by `scaling`."""

from dlagent.domain.scaling.latency import Mixture
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
    signals: Signals | None,
    view: ScalingView | None,
    requests: float,
    good: float,
) -> AgentFigures:
    """What is not known is absent, never zero."""
    decision = view.decision if view is not None else None
    measured = signals is not None and not isinstance(signals.arrivals, NoData)
    return AgentFigures(
        namespace=key.namespace,
        name=key.name,
        requests=requests,
        good=good,
        objective=scaled.settings.objective,
        threshold_seconds=scaled.settings.threshold_seconds,
        attained=view.slo.attained if view is not None else None,
        desired=decision.desired if decision is not None else None,
        ready=signals.count(Supply.READY) if signals is not None else None,
        capacity=decision.capacity if decision is not None else None,
        arrivals=_arrivals(signals),
        backlog=signals.backlog if signals is not None and measured else None,
        latency_seconds=_latency(signals),
    )


def _latency(signals: Signals | None) -> dict[float, float]:
    latency = signals.latency if signals is not None else None
    if not isinstance(latency, Mixture):
        return {}
    return {share: latency.quantile(share) for share in _SHARES}


def _arrivals(signals: Signals | None) -> float | None:
    reading = signals.arrivals if signals is not None else None
    if isinstance(reading, Measured):
        return reading.value
    return 0.0 if isinstance(reading, NoTraffic) else None
