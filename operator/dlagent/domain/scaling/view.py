"""What the scaler hands to the reconciler of an agent: its last decision and the SLO's state."""

from dataclasses import dataclass

from dlagent.domain.scaling.decision import Decision
from dlagent.domain.scaling.slo import SloJudgement


@dataclass(frozen=True)
class ScalingView:
    """`decision` is None where the number is not the scaler's to decide."""

    decision: Decision | None
    slo: SloJudgement
