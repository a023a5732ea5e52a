"""What the scaler keeps of one agent from tick to tick, and what of it is worth a visit.

Of dlagent.reconcile.scaling alone. It is small, since there may be thousands.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from dlagent.domain.scaling.cost import Usage
from dlagent.domain.scaling.latency import LatencySignal
from dlagent.domain.scaling.ledger import Ledger
from dlagent.domain.scaling.model import ScalingSettings, ScalingState
from dlagent.domain.scaling.pod_starts import PodStarts
from dlagent.domain.scaling.signals import Signals
from dlagent.domain.scaling.skew import SkewState
from dlagent.domain.scaling.view import ScalingView
from dlagent.reconcile.scaled import Scaled


class Serving(NamedTuple):
    """What answers: a revision, the first characters of its artifact's key, and its size."""

    revision: str
    artifact: str
    replicas: int


@dataclass(slots=True)
class Entry:
    """What the scaler keeps of one agent.

    `requests`, `good` and `usage` are counted since it began; `looked_at` is its last tick, and
    `settings` are those of that tick: with what was learned, and as a scheduled event has them.
    """

    scaled: Scaled
    starts: PodStarts
    serving: Serving | None = None
    state: ScalingState = field(default_factory=ScalingState)
    births: dict[str, float] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    requests: float = 0.0
    good: float = 0.0
    latency_signal: LatencySignal | None = None
    skew: SkewState | None = None
    usage: Usage = field(default_factory=Usage)
    looked_at: float | None = None
    settings: ScalingSettings | None = None
    signals: Signals | None = None
    view: ScalingView | None = None

    @property
    def learns(self) -> bool:
        """Whether batch times are of use: its number is decided, and something serves."""
        return self.scaled.decides and self.serving is not None


def outcome(view: ScalingView) -> Hashable:
    """What the reconciler would write of a view: equal outcomes need no visit."""
    decision, slo = view.decision, view.slo
    judged = (
        slo.verdict,
        slo.budget_left_percent,
        slo.observed_hours,
        slo.why,
        view.latency_signal,
    )
    if decision is None:
        return judged
    limited = None
    if decision.limit is not None:
        limited = (decision.limit, decision.needed, view.scheduled)
    return (decision.desired, decision.blind, limited, judged, view.skew)
