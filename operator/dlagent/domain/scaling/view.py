"""What the scaler hands to the reconciler of an agent: its last decision and the SLO's state."""

from dataclasses import dataclass

from dlagent.domain.scaling.decision import Decision
from dlagent.domain.scaling.slo import SloJudgement


@dataclass(frozen=True)
class ScalingView:
    """Of one agent by its uid, as its spec was in that generation.

    `decision` is None where the number is not the scaler's to decide.
    """

    uid: str
    generation: int
    decision: Decision | None
    slo: SloJudgement
