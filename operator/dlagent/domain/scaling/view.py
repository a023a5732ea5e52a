"""What the scaler hands to the reconciler of an agent: its last decision and the SLO's state."""

from dataclasses import dataclass

from dlagent.domain.scaling.latency import LatencySignal
from dlagent.domain.scaling.model import Decision
from dlagent.domain.scaling.schedule import Occurrence
from dlagent.domain.scaling.skew import Skew
from dlagent.domain.scaling.slo import SloJudgement


@dataclass(frozen=True)
class ScalingView:
    """Of one agent by its uid, as its spec was in that generation.

    `decision` is None where the number is not the scaler's to decide. `latency_signal` is None
    until something was answered, `skew` unless one has lasted. `scheduled` is what
    spec.scaling.schedule has the lower bound raised by, if anything.
    """

    uid: str
    generation: int
    decision: Decision | None
    slo: SloJudgement
    latency_signal: LatencySignal | None = None
    skew: Skew | None = None
    scheduled: Occurrence | None = None
