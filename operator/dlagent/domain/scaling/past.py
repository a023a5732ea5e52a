"""What Prometheus remembers of an agent, as what a decision goes on from.

dlagent.adapters.prometheus makes it, and dlagent.reconcile.pasts hands it to the scaler when the
operator starts: a restart forgets neither how the load moves nor what was missed.
"""

import math
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
    """The state with the past in place of what was seen since the start, which is part of it.

    But for the budget's present quarter of an hour, of which there is no record before it ends: it
    goes on with what was seen since the start.
    """
    history = past.history.at(now) if len(past.history.rates) else state.history
    recorded = past.budget.bins
    recorded_until = recorded[-1].begins if recorded else -math.inf
    seen = tuple(one for one in state.budget.bins if one.begins > recorded_until)
    return replace(state, history=history, budget=Budget((*recorded, *seen)), foresight=None)
