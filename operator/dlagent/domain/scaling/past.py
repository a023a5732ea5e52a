"""What Prometheus remembers of an agent, as what a decision goes on from.

dlagent.adapters.prometheus makes it, and dlagent.reconcile.pasts hands it to the scaler when the
operator starts: a restart forgets neither how the load moves nor what was missed.
"""

from dataclasses import dataclass, field, replace

from dlagent.domain.scaling.budget import Budget
from dlagent.domain.scaling.history import History
from dlagent.domain.scaling.model import ScalingState


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Empty where nothing was recorded."""

    history: History = field(default_factory=History)
    budget: Budget = field(default_factory=Budget)


def remembered(state: ScalingState, past: Past, now: float) -> ScalingState:
    """The state with the past in place of what was seen since the start, which is part of it."""
    history = past.history.at(now) if len(past.history.rates) else state.history
    budget = past.budget if past.budget.bins else state.budget
    return replace(state, history=history, budget=budget, foresight=None)
